"""Nothing shared is changed without a yes: `--yes`, or an answer at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused


def refuse_without_consent(yes: bool, dry_run: bool = False) -> None:
    """At once, before anything else: a script must not hang on a question, nor find out late."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageRefused("this changes a shared environment, and there is no terminal to ask at: give --yes")


def asking(yes: bool, quiet: Callable[[], None]) -> Callable[[str], None]:
    """What asks a question of the operator: Refused with 2 unless it is confirmed, with 130 after a Ctrl-C.

    quiet: called before it asks, so that nobody else writes there.
    """

    def ask(question: str) -> None:
        quiet()
        try:
            confirmed = yes or typer.confirm(question, err=True)
        except typer.Abort:
            raise Refused(ExitCode.INTERRUPTED, "interrupted; nothing was touched") from None
        if not confirmed:
            raise UsageRefused("not confirmed; nothing was touched")

    return ask
