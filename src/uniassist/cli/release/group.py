"""`uniassist release …`: the runbook, a command for each of its sections."""

from __future__ import annotations

import typer

from uniassist.cli.release import (
    abort,
    contract,
    evidence,
    gate,
    incident,
    init,
    plan,
    preflight,
    resume,
    rollback,
    rollout,
    run,
    start,
    status,
    stop,
    verify,
    watch,
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
    ("init", "An env file for a staging on this host.", init.run),
    ("preflight", "Prerequisites: env, Postgres, Redis, the revision.", preflight.run),
    ("gate", "Types, conformance, smoke; stops at the first failure.", gate.run),
    ("plan", "What a rollout would change for each service.", plan.run),
    ("rollout", "Migrations, then the services in order, each healthy.", rollout.run),
    ("verify", "The post-release criteria, by URL.", verify.run),
    ("watch", "After a rollout: rolls back by itself when a trigger fires.", watch.run),
    ("rollback", "Back to the last revision that was verified.", rollback.run),
    ("run", "All of it: preflight, gate, rollout, verify, watch.", run.run),
    ("contract", "Migrations that older releases couldn't bear.", contract.run),
    ("stop", "Stop all services, worker first.", stop.run),
    ("start", "Start what was released last, in order.", start.run),
    ("status", "What runs, what is good, who is at it: one screen.", status.run),
    ("resume", "Go on with an unfinished run.", resume.run),
    ("abort", "Close an unfinished run as it is.", abort.run),
)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
    )
    group.callback()(lambda: None)
    for name, short, command in _COMMANDS:
        group.command(name, short_help=short, help=command.__doc__)(command)
    group.add_typer(incident.group(), name="incident")
    group.add_typer(evidence.group(), name="evidence")
    app.add_typer(group, name="release")
