"""Where the system is that a command talks to."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from uniassist.devstack.state import DEFAULT_DIRECTORY, StateDirectory
from uniassist.errors import SettingsError, StartError
from uniassist.settings import Reader

StateDir = Annotated[
    Path | None, typer.Option("--state-dir", help="The state directory of `up`; default .uniassist.", metavar="DIR")
]


def gateway_url(url: str | None, state_dir: Path | None) -> str:
    """The first of: --url, GATEWAY_URL, the system that `up` runs on the state directory, the default port."""
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"--url: expected a URL such as http://127.0.0.1:8787, got {url!r}")
        return url.rstrip("/")
    if state_dir is None and os.environ.get("GATEWAY_URL"):
        return Reader(os.environ).http_url("GATEWAY_URL")
    state = StateDirectory(state_dir or DEFAULT_DIRECTORY).read()
    if state is not None:
        return next(service.url for service in state.services if service.name == "gateway")
    if state_dir is not None:
        raise StartError(f"nothing runs on {state_dir}; start it with: uniassist up --state-dir {state_dir}")
    return Reader(os.environ).http_url("GATEWAY_URL")


def database_url(state_dir: Path | None = None) -> str:
    """The first of: DATABASE_URL, the database of the system that `up` runs on the state directory."""
    reader = Reader(os.environ)
    if state_dir is None and reader.optional("DATABASE_URL"):
        return reader.database_url().reveal()
    state = StateDirectory(state_dir or DEFAULT_DIRECTORY).read()
    if state is not None:
        return state.database_url
    raise SettingsError("DATABASE_URL: required, since no `uniassist up` runs here; expected a URL of Postgres")


def own_command() -> str:
    """How to call us from here: `uniassist` where the PATH has it, else by its path."""
    found = shutil.which("uniassist")
    own = Path(sys.executable).parent / "uniassist"
    if found is not None and Path(found) == own:
        return "uniassist"
    try:
        return str(own.relative_to(Path.cwd()))
    except ValueError:
        return str(own)
