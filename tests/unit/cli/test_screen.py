"""A command within a command: its lines are shown and kept, what it would have typed next is only kept."""

from __future__ import annotations

import pytest

from uniassist.cli.release.screen import Screen
from uniassist.release.report.masking import Masker


def test_what_comes_next_is_not_said_where_it_comes_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    within = Screen(Masker(), as_json=False).anew()
    for line in ("ready for the gate", "      next: make typecheck", "next: uniassist release gate"):
        within.say(line)
    assert capsys.readouterr().out == "ready for the gate\n      next: make typecheck\n"
    assert within.lines[-1].startswith("next: ")
