"""`uniassist provider new`: a project that answers through the gateway as it stands."""

from __future__ import annotations

import shlex
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli.where import own_command
from uniassist.provider import project


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Specialists of your own.", no_args_is_help=True)
    group.callback()(lambda: None)  # so that a single command keeps its name
    group.command("new", help="A folder with a provider that runs, its tests and its providers file.")(_new)
    app.add_typer(group, name="provider")


def _new(
    name: Annotated[str, typer.Argument(help="Its id: lower-case letters, digits, _ and -.", metavar="NAME")],
    directory: Annotated[
        Path | None, typer.Option("--directory", help="A new folder. Default: NAME, here.", metavar="DIR")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where it listens.")] = 9001,
) -> None:
    folder = directory or Path(name)
    known = (files("uniassist.gateway.providers") / "providers.toml").read_text(encoding="utf-8")
    made = project.create(folder, name, port, known=known)
    here, command, python = (shlex.quote(str(each)) for each in (folder.absolute(), own_command(), sys.executable))
    print(f"made {folder}: {', '.join(path.name for path in made)}\n")
    print(f"run it            {python} {here}/provider.py")
    print(f"its tests         {python} -m pytest {here}")
    print(f"the contract      {command} conformance --provider-url http://127.0.0.1:{port}")
    print(f"the gateway       UNIASSIST_PROVIDERS_FILE={here}/providers.toml {command} up")
    print(f"write to it       {command} send '{name}: hello'\n")
    print(f"The entry in {folder}/providers.toml:\n\n{project.entry(name, port)}", end="")
