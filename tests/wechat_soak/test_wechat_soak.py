"""The short form of `make wechat-soak`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.wechat_soak.report import report
from tests.wechat_soak.run import Plan, run


@pytest.mark.timeout(300)
async def test_on_the_worst_of_days_each_message_arrives_once_and_each_reply_is_shown_once_or_reported() -> None:
    with tempfile.TemporaryDirectory(prefix="uniassist-wechat-soak-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postgres runs as another user when we are root
        plan = Plan(people=40, messages=5, at_once=20, seed=7, kill_pause_seconds=0.0, late_people=5)
        outcome = await run(directory, plan)
    assert outcome.clean, report(outcome)
    assert outcome.done["messages"] == 200
    assert outcome.done["adapters killed"] >= 1
    assert outcome.done["answers lost"] >= 5
