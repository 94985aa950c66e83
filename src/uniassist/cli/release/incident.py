"""`uniassist release incident show | close`."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from uniassist.cli.release.options import Env, EnvFile, Json, StateDir, records_in
from uniassist.cli.release.screen import Screen, ending
from uniassist.release.env.environment import Environment
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.incident import incident
from uniassist.release.incident.incident import Incident
from uniassist.release.incident.page import render
from uniassist.release.records.lock import who

Cause = Annotated[
    str | None,
    typer.Option("--cause", metavar="TEXT", help="The root cause, in words; asked for at a terminal."),
]


def group() -> typer.Typer:
    app = typer.Typer(help="The note of a rollback, open until a person names its cause.", no_args_is_help=True)
    app.callback()(lambda: None)
    app.command("show", short_help="One note, or without RUN all of them.", help=show.__doc__)(show)
    app.command("close", short_help="Name the root cause.", help=close.__doc__)(close)
    return app


def show(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="The rollback; default: a list.")] = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """What was seen of a rollback: first failing probe, durations, variables and commits, logs, timeline.

    Exit codes: 0 shown, 2 there is no such incident.
    """
    with ending():
        home = records_in(state_dir).directory
        notes = [incident.get(home, run)] if run else incident.all_incidents(home)
    if as_json:
        print(msgspec.json.encode(notes[0] if run else notes).decode())
    elif run:
        print(render(notes[0]), end="")
    else:
        for noted in notes:
            print(_line(noted))
        if not notes:
            print("no incident: nothing was rolled back here")


def close(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The rollback.")],
    cause: Cause = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Name the root cause. Closing it again corrects the cause; the earlier one stays in the note.

    Exit codes: 0 closed, 2 there is no such incident, or no cause.
    """
    with ending():
        environment = Environment.load(env, env_file)
    home = records_in(state_dir).directory
    with ending(environment.masker.mask):
        incident.get(home, run)
        named = cause or _asked(run)
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        noted = incident.close_incident(home, run, named, who(), environment.masker)
        screen.say(_line(noted))
        screen.say(f"      next: uniassist release evidence build {run}")
        screen.document(msgspec.to_builtins(noted))


def _asked(run: str) -> str:
    """The cause, as it is typed in. UsageRefused where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise UsageRefused('--cause: required where there is no terminal to ask at: --cause "what it was"')
    try:
        said: str = typer.prompt(f"What was the cause of {run}?", err=True)
    except typer.Abort:
        raise Refused(ExitCode.INTERRUPTED, "interrupted; the incident stays open") from None
    return said


def _line(noted: Incident) -> str:
    facts = noted.facts
    state = "OPEN  " if noted.is_open else "closed"
    cause = f": {noted.causes[-1].text}" if noted.causes else ""
    return f"{state}  {facts.run}  {facts.released.tag} → {facts.target.tag}{cause}"
