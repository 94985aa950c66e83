"""Options that several release commands take, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uniassist.release.records.records import DEFAULT_DIRECTORY, Records

Env = Annotated[str, typer.Option("--env", help="Which environment: staging or prod.")]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="FILE", help="Its variables; they win over those of the shell."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts; lines go to stderr.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and touch nothing.")]
Rev = Annotated[str | None, typer.Option("--rev", metavar="TAG", help="The revision: a tag of this checkout.")]
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Where records are kept; default .uniassist/release."),
]
DriverName = Annotated[
    str, typer.Option("--driver", help="Where the services run: local, exec or manual.", metavar="NAME")
]
DriverFile = Annotated[
    Path | None, typer.Option("--driver-file", help="The operator's own commands, for exec.", metavar="FILE")
]
HealthyWithin = Annotated[
    float,
    typer.Option("--healthy-within", metavar="SECONDS", min=1, max=3600, help="How long each service may take."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
Because = Annotated[str, typer.Option("--because", help="Why, for whoever looks later.", metavar="TEXT")]


def records_in(state_dir: Path | None) -> Records:
    return Records(state_dir or DEFAULT_DIRECTORY)
