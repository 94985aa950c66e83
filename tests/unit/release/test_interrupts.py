from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import pytest
from tests.waiting import eventually

from uniassist.release import interrupts
from uniassist.release.interrupts import Interrupted, to_the_end
from uniassist.release.report.checklist import Checklist


def test_work_that_nobody_interrupts_answers() -> None:
    async def work() -> int:
        return 7

    assert interrupts.run(work(), lambda _line: None) == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_clean_up_finish_however_often_it_comes(number: int) -> None:
    cleaned: list[str] = []
    said: list[str] = []

    async def clean_up() -> None:
        for _ in range(3):
            heard = len(said)
            os.kill(os.getpid(), number)
            await eventually(lambda: len(said) > heard, "the signal is heard")  # noqa: B023 - asked at once
        cleaned.append("all")

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await to_the_end(clean_up)

    with pytest.raises(Interrupted):
        interrupts.run(work(), said.append)
    assert cleaned == ["all"]
    assert said[0] == "interrupted, cleaning up…"


def test_a_first_signal_during_the_clean_up_waits_for_its_end() -> None:
    cleaned: list[str] = []
    said: list[str] = []

    async def clean_up() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await eventually(lambda: said, "the signal is heard")
        cleaned.append("all")

    with pytest.raises(Interrupted):
        interrupts.run(to_the_end(clean_up), said.append)
    assert cleaned == ["all"]


async def test_what_a_clean_up_raises_is_raised() -> None:
    async def clean_up() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await to_the_end(clean_up)


def test_work_in_steps_notices_an_interrupt_that_an_await_lost() -> None:
    steps: list[str] = []

    async def deaf() -> str:
        # What asyncio.wait_for does before Python 3.12 when both come at once.
        os.kill(os.getpid(), signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "deaf"

    async def work() -> None:
        checklist = Checklist("steps", steps.append)
        await checklist.run("one", deaf)
        await checklist.run("two", deaf)

    with pytest.raises(Interrupted):
        interrupts.run(work(), lambda _line: None)
    assert steps == []


def test_work_that_ends_before_it_hears_of_the_interrupt_was_interrupted_all_the_same() -> None:
    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    with pytest.raises(Interrupted):
        interrupts.run(work(), lambda _line: None)
