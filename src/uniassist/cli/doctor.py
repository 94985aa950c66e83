"""`uniassist doctor`: what is missing, and how to mend it."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from uniassist.cli.findings import show
from uniassist.cli.where import StateDir
from uniassist.devstack import doctor
from uniassist.devstack.doctor import Finding
from uniassist.devstack.state import DEFAULT_DIRECTORY, StateDirectory

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def register(app: typer.Typer) -> None:
    app.command("doctor", help="What is missing, and how to mend it. exits 1 if anything is.")(_doctor)


def _doctor(state_dir: StateDir = None, as_json: Json = False) -> None:
    findings = doctor.examine(StateDirectory(state_dir or DEFAULT_DIRECTORY), os.environ)
    failed = sum(finding.level == "fail" for finding in findings)
    if as_json:
        print(msgspec.json.encode({"ok": failed == 0, "findings": findings}).decode())
    else:
        _show(Console(highlight=False), findings, failed)
    if failed:
        raise typer.Exit(1)


def _show(console: Console, findings: list[Finding], failed: int) -> None:
    show(console, findings)
    warned = sum(finding.level == "warn" for finding in findings)
    if failed:
        console.print(f"\n{failed} to mend before `uniassist up` works")
    elif warned:
        console.print(f"\n`uniassist up` works; {warned} to look at")
    else:
        console.print("\nall well")
