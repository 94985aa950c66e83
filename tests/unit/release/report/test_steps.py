from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from uniassist.release.report.checklist import CheckFailed, Skipped
from uniassist.release.report.steps import WIDTH, Advice, Step, Steps, lines_of

ADVICE = Advice("uniassist status", "leave it")


async def says_hello() -> str:
    return "hello"


async def fails() -> str:
    raise CheckFailed("expected 200, got 500")


async def skips() -> str:
    raise Skipped("no token")


async def hangs() -> str:
    await asyncio.Event().wait()
    return ""


async def test_each_step_is_a_line_with_its_place_in_the_runbook() -> None:
    said: list[str] = []
    steps = Steps(4, said.append)
    for name, check in (("one", says_hello), ("two", fails), ("three", skips), ("four", hangs)):
        await steps.run(name, check, runbook=f"Gate {name}", deadline_seconds=0.2, advice=ADVICE)
    assert said == [
        "[1/4] one  ok in 0.0 s  (runbook: Gate one)",
        "      hello",
        "[2/4] two  FAILED after 0.0 s  (runbook: Gate two)",
        "      expected 200, got 500",
        "      next: uniassist status",
        "      safe: leave it",
        "[3/4] three  skipped  (runbook: Gate three)",
        "      no token",
        "[4/4] four  FAILED after 0.2 s  (runbook: Gate four)",
        "      not within 0 s",
        "      next: uniassist status",
        "      safe: leave it",
    ]
    assert not steps.ok
    assert [step.name for step in steps.failed] == ["two", "four"]


async def test_a_skipped_step_is_no_failure_but_one_that_was_not_run_is() -> None:
    for outcome, ok in (("skipped", True), ("not run", False)):
        steps = Steps(1, lambda _line: None)
        if outcome == "skipped":
            await steps.run("it", skips, runbook="x", deadline_seconds=1, advice=ADVICE)
        else:
            steps.not_run("it", "an earlier one failed", runbook="x")
        assert steps.ok is ok


def test_steps_that_were_never_reached_are_no_success() -> None:
    assert not Steps(1, lambda _line: None).ok


words = st.lists(st.text("abcdefgh", min_size=1, max_size=12), max_size=40).map(" ".join)


@given(
    name=st.text("abc-", min_size=1, max_size=24), detail=words, runbook=st.text("abc ", min_size=1, max_size=30)
)
def test_lines_fit_a_terminal_of_80_columns_and_lose_no_word(name: str, detail: str, runbook: str) -> None:
    step = Step(2, name, "failed", 12.3, "", detail, runbook, safe="leave it")
    lines = lines_of(step, 14)
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(lines).split() == (
        f"[2/14] {name} FAILED after 12.3 s (runbook: {runbook}) {detail} safe: leave it".split()
    )
