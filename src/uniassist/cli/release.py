"""`uniassist release …`: the runbook, a command for each of its sections."""

from __future__ import annotations

import typer

from uniassist.cli import release_gate, release_preflight, release_verify
from uniassist.release.exit_codes import MEANINGS

_EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS.items()) + "."


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Release by the runbook: preflight, gate, verify. docs/runbook.md has each line beside its command.",
        epilog=_EPILOG,
        no_args_is_help=True,
    )
    group.callback()(lambda: None)
    group.command("preflight", help=release_preflight.run.__doc__)(release_preflight.run)
    group.command("gate", help=release_gate.run.__doc__)(release_gate.run)
    group.command("verify", help=release_verify.run.__doc__)(release_verify.run)
    app.add_typer(group, name="release")
