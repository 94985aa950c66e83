"""`uniassist release …`: the runbook, a command for each of its sections."""

from __future__ import annotations

import typer

from uniassist.cli import (
    release_contract,
    release_evidence,
    release_gate,
    release_incident,
    release_preflight,
    release_rollback,
    release_rollout,
    release_run,
    release_status,
    release_unfinished,
    release_verify,
    release_watch,
)
from uniassist.release.exit_codes import MEANINGS

# \b: a paragraph whose lines stay as they are.
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"{int(code):>5}  {meaning}" for code, meaning in MEANINGS.items())
_HELP = """\b
A release, by the runbook (docs/runbook.md has each line beside its command):
  preflight → gate → plan → rollout → verify → watch;  run does them all.
  Something is wrong: rollback.  It was cut off: resume, or abort.
  Where am I? status. Each command says what comes next.
"""
_COMMANDS = (
    ("preflight", "Prerequisites: env, Postgres, Redis, the revision.", release_preflight.run),
    ("gate", "Types, conformance, smoke; stops at the first failure.", release_gate.run),
    ("plan", "What a rollout would change for each service.", release_rollout.run_plan),
    ("rollout", "Migrations, then the services in order, each healthy.", release_rollout.run),
    ("verify", "The post-release criteria, by URL.", release_verify.run),
    ("watch", "After a rollout: rolls back by itself when a trigger fires.", release_watch.run),
    ("rollback", "Back to the last revision that was verified.", release_rollback.run),
    ("run", "All of it: preflight, gate, rollout, verify, watch.", release_run.run),
    ("contract", "Migrations that older releases couldn't bear.", release_contract.run),
    ("status", "What runs, what is good, who is at it: one screen.", release_status.run),
    ("resume", "Go on with an unfinished run.", release_unfinished.resume),
    ("abort", "Close an unfinished run as it is.", release_unfinished.abort),
)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
    )
    group.callback()(lambda: None)
    for name, short, run in _COMMANDS:
        group.command(name, short_help=short, help=run.__doc__)(run)
    group.add_typer(release_incident.group(), name="incident")
    group.add_typer(release_evidence.group(), name="evidence")
    app.add_typer(group, name="release")
