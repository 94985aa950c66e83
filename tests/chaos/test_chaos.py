"""The short form of `make chaos`: most kinds of faults, and all kinds of poison, in three quarters of a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.chaos.poison import KINDS
from tests.chaos.report import report
from tests.chaos.run import Asked, run

SEED = 4
KINDS_SURVIVED = 14


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_random_faults_lose_nothing_and_break_no_order() -> None:
    with tempfile.TemporaryDirectory(prefix="uniassist-chaos-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postgres runs as another user when we are root
        outcome = await run(directory, Asked(seconds=45, seed=SEED, pause_seconds=1.0))
    assert outcome.clean, report(outcome)
    survived = {name for name in outcome.faults if "prevented" not in name}
    assert len(survived) >= KINDS_SURVIVED, report(outcome)
    # Each in its turn: a machine that is too slow for all of them had the first ones.
    assert len(outcome.poisons) >= len(KINDS) // 2, report(outcome)
    assert outcome.findings.entries_checked > 300
    assert outcome.acknowledged > 300  # of some 2,700; whole suites and an hour of chaos beside it left 976
