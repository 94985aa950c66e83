"""Findings as people read them: what was looked at, how it is, and the remedy where there is one to take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class ShownFinding(Protocol):
    @property
    def level(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def said(self) -> str: ...
    @property
    def remedy(self) -> str: ...


def show(console: Console, findings: Iterable[ShownFinding]) -> None:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        said = Text(finding.said)
        if finding.remedy:
            said.append(f"\n→ {finding.remedy}")
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), Text(finding.name), said)
    console.print(table)
