"""The short form of `make chaos`: every kind of fault at least once, in half a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.chaos.faults import OTHER_FAULTS, REDIS_FAULTS, WORKER_FAULTS
from tests.chaos.report import report
from tests.chaos.run import run

SEED = 4


@pytest.mark.timeout(240)
async def test_random_faults_lose_nothing_and_break_no_order() -> None:
    with tempfile.TemporaryDirectory(prefix="uniassist-chaos-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postgres runs as another user when we are root
        outcome = await run(directory, seconds=30, seed=SEED, pause_seconds=1.2)
    assert outcome.clean, report(outcome)
    survived = {name for name in outcome.faults if "prevented" not in name}
    assert len(survived) >= len({*WORKER_FAULTS, *REDIS_FAULTS, *OTHER_FAULTS}) - 3, report(outcome)
    assert outcome.findings.entries_checked > 1000
    assert outcome.acknowledged > 1000
