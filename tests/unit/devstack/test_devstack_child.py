"""A program under watch: it is started again, with growing pauses, and its end is said."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.waiting import eventually

from uniassist.devstack.child import LONGEST_PAUSE_SECONDS, LOOPING_COUNT, Child, Program, wait_or_raise
from uniassist.errors import StartError

Make = Callable[[str], tuple[Child, list[str]]]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Make]:
    """`child("exit 3")`: a started shell of that text, and what is said of it."""
    made: list[Child] = []

    def make(script: str) -> tuple[Child, list[str]]:
        said: list[str] = []
        program = Program("sample", ["/bin/sh", "-c", script], dict(os.environ), "", tmp_path / "sample.log")
        made.append(Child("sample", program.runnable(), said.append))
        made[-1].runnable.start()
        return made[-1], said

    yield make
    for started in made:
        started.runnable.process.kill()


async def _ended(child: Child) -> None:
    await eventually(lambda: child.pid is None, "the program ended")


def _pauses(said: list[str]) -> list[float]:
    return [float(found[1]) for line in said if (found := re.search(r"starts again in ([\d.]+) s", line))]


def test_a_program_that_runs_is_left_alone(child: Make) -> None:
    running, said = child("exec sleep 60")
    pid = running.pid
    assert [running.look(now) for now in (0.0, 100.0, 1e6)] == [False] * 3
    assert (running.pid, running.restarts, said) == (pid, 0, [])


async def test_an_end_is_said_with_its_code_and_last_words(child: Make) -> None:
    ended, said = child("echo first words; echo last words; exit 3")
    await _ended(ended)
    assert ended.look(0.0) is True
    assert "sample ended with 3" in said[0]
    assert "last words" in said[0]


async def test_it_starts_again_when_due_and_not_before(child: Make, tmp_path: Path) -> None:
    ended, said = child(f"test -e {tmp_path}/mended && exec sleep 60; exit 1")
    await _ended(ended)
    (tmp_path / "mended").touch()
    ended.look(10.0)
    (pause,) = _pauses(said)
    assert ended.look(10.0 + pause - 0.01) is False
    assert ended.restarts == 0
    assert ended.look(10.0 + pause + 0.01) is True
    assert ended.runnable.process.running
    assert ended.restarts == 1


async def test_pauses_grow_to_a_limit_and_a_crash_loop_is_said_plainly(child: Make) -> None:
    looping, said = child("exit 1")
    now = 0.0
    for _ in range(LOOPING_COUNT + 3):
        await _ended(looping)
        looping.look(now)
        now += _pauses(said)[-1] + 0.01
        looping.look(now)
    pauses = _pauses(said)
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses == sorted(pauses)
    assert max(pauses) <= LONGEST_PAUSE_SECONDS
    plain = [line for line in said if f"{LOOPING_COUNT} times within a minute" in line]
    assert len(plain) == 4, "from the fifth end on"
    assert "sample.log" in plain[0]


async def test_an_end_after_a_quiet_hour_counts_as_the_first(child: Make) -> None:
    ended, said = child("exit 1")
    for now in (0.0, 3600.0, 7200.0):
        await _ended(ended)
        ended.look(now)
        ended.look(now + 1.0)
    assert _pauses(said) == [0.5, 0.5, 0.5]


async def test_a_start_that_fails_is_said_and_tried_again(child: Make) -> None:
    ended, said = child("exit 1")
    await _ended(ended)
    start, ended.runnable.start = ended.runnable.start, _refuse  # type: ignore[method-assign]
    ended.look(0.0)
    ended.look(1.0)
    assert "sample doesn't start: no room" in said
    ended.runnable.start = start  # type: ignore[method-assign]
    ended.look(1.0)
    assert ended.look(10.0) is True
    assert ended.restarts == 2


def _refuse() -> None:
    raise StartError("no room")


def test_waiting_for_one_that_ends_gives_its_last_words(child: Make) -> None:
    ended, _ = child("echo cannot open the thing; exit 2")
    with pytest.raises(StartError, match=r"(?s)sample ended with 2.*cannot open the thing"):
        wait_or_raise(ended, lambda: False, 20)


def test_waiting_ends_at_the_deadline(child: Make) -> None:
    slow, _ = child("exec sleep 60")
    began = time.monotonic()
    with pytest.raises(StartError, match="not ready"):
        wait_or_raise(slow, lambda: False, 0.2)
    assert time.monotonic() - began < 10


def test_the_program_gets_the_given_environment_only(tmp_path: Path) -> None:
    log = tmp_path / "env.log"
    script = "import os; print(sorted(n for n in os.environ if n != 'LC_CTYPE'))"
    program = Program("env", [sys.executable, "-c", script], {"ONLY": "this"}, "", log)
    started = program.runnable()
    started.start()
    with pytest.raises(StartError):
        wait_or_raise(Child("env", started, print), lambda: False, 20)
    assert log.read_text("utf-8").strip() == "['ONLY']"
