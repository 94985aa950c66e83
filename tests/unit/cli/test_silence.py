"""What is under way is said in time: also while something else goes on being said of it."""

from __future__ import annotations

import io

import pytest
from tests.waiting import eventually

from uniassist.cli import silence
from uniassist.cli.silence import Silence


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(silence, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(silence, "REDRAW_SECONDS", 0.05)


async def test_in_a_log_it_is_said_after_a_while_and_again() -> None:
    out = io.StringIO()
    told = Silence(out, is_live=False)
    told.began("[1/4] gateway …")
    assert out.getvalue() == ""
    await eventually(lambda: out.getvalue().count("      [1/4] gateway …") >= 2, "it is said twice", 5.0)


async def test_words_that_go_on_changing_are_no_silence_that_begins_anew() -> None:
    """A check's own lines, or the time that is left, ten times a second."""
    out = io.StringIO()
    told = Silence(out, is_live=False)
    number = 0

    def goes_on() -> bool:
        nonlocal number
        number += 1
        told.began(f"typecheck: line {number}")
        return "typecheck: line" in out.getvalue()

    await eventually(goes_on, "something is said meanwhile", 5.0, pause_seconds=0.02)


async def test_after_a_finished_line_nothing_is_under_way() -> None:
    out = io.StringIO()
    told = Silence(out, is_live=False)
    told.began("looking…")
    told.say("[1/1] looked  ok")
    other = Silence(later := io.StringIO(), is_live=False)
    other.began("as long as the first would have taken")
    await eventually(lambda: later.getvalue().count("\n") >= 2, "that much time has passed", 5.0)
    assert out.getvalue() == "[1/1] looked  ok\n"


async def test_a_narrow_terminal_shows_how_long_it_has_been(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = io.StringIO()
    told = Silence(out, is_live=True)
    told.began("a line that is longer than the terminal is wide")
    await eventually(lambda: out.getvalue().endswith(" 1 s"), "its end is the time", 5.0)
    assert max(map(len, out.getvalue().split("\r\x1b[K"))) == 19


async def test_on_a_terminal_it_is_drawn_at_once_and_goes_when_it_is_over() -> None:
    out = io.StringIO()
    told = Silence(out, is_live=True)
    told.began("building…")
    assert out.getvalue() == "\r\x1b[Kbuilding…"
    await eventually(lambda: out.getvalue().count("building…") >= 3, "it is redrawn", 5.0)
    told.end()
    assert out.getvalue().endswith("\r\x1b[K")
