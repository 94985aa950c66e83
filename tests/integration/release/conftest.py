"""The commands under test, and the variables of a live drill."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.release.commands import Command

GROUP = "ua-delivery-staging"
GLOBAL_KEY = "uniassist:timeline:all"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def live(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The runbook's variables of a live drill."""
    return {
        "WORKER_DRILL_MODE": "live",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "UNIASSIST_STREAM_PREFIX": "uniassist:timeline:",
        "UNIASSIST_STREAM_GLOBAL_KEY": GLOBAL_KEY,
        "UNIASSIST_STREAM_GROUP": GROUP,
        "WORKER_DRILL_OUTPUT_PATH": str(tmp_path / "reports" / "drill-latest.md"),
    }
