"""`uniassist doctor`: what is missing, and how to mend it."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from uniassist.cli import released, system
from uniassist.cli.console import guarded_console
from uniassist.cli.findings import show
from uniassist.cli.silence import waiting
from uniassist.cli.system import SystemEnvFile
from uniassist.cli.where import StateDir
from uniassist.devstack import doctor
from uniassist.devstack.doctor import DoctorFinding
from uniassist.devstack.state import DEFAULT_DIRECTORY, StateDirectory

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def register(app: typer.Typer) -> None:
    app.command("doctor", help="What is missing, and how to mend it. exits 1 if anything is.")(_doctor)


def _doctor(state_dir: StateDir = None, env_file: SystemEnvFile = None, as_json: Json = False) -> None:
    directory = StateDirectory(state_dir or DEFAULT_DIRECTORY)
    found = system.of_file(env_file) if env_file is not None else None
    if env_file is None and not directory.is_locked():
        found = system.released_here(state_dir)
    if found is not None and not as_json:
        print(f"looking at {found.said}")
    with waiting("asking the servers and the services…"):
        findings = released.examine(found) if found is not None else doctor.examine(directory, os.environ)
    failed = sum(finding.level == "fail" for finding in findings)
    if as_json:
        print(msgspec.json.encode({"ok": failed == 0, "findings": findings}).decode())
    else:
        _show(guarded_console(), findings, failed, "it is well" if found else "`uniassist up` works")
    if failed:
        raise typer.Exit(1)


def _show(console: Console, findings: list[DoctorFinding], failed: int, goal: str) -> None:
    show(console, findings)
    warned = sum(finding.level == "warn" for finding in findings)
    if failed:
        console.print(f"\n{failed} to mend before {goal}")
    elif warned:
        console.print(f"\n{goal}; {warned} to look at")
    else:
        console.print("\nall well")
