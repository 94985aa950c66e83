"""A rollback that is resumed: its fifteen minutes go on, they don't begin anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.integration.release.rollout.little import Place

from uniassist.release.exit_codes import ExitCode
from uniassist.release.records.kept_releases import Release
from uniassist.release.rollout.resumption import resume


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.driver.kill_all()


async def verified(_release: Release) -> str:
    return "verified"


@pytest.mark.parametrize(("minutes", "said"), [(5, "budget 9:5"), (-60, "budget 14:5")])
def test_its_budget_counts_from_the_trigger(place: Place, minutes: int, said: str) -> None:
    """Also when the clock was set back meanwhile: then as if it began now."""
    v1, v2 = place.running("v1"), place.running("v2")
    run = place.begin("rollback", v1, v2)
    began = datetime.now(UTC) - timedelta(minutes=minutes)
    place.home.runs.write(msgspec.structs.replace(run, started_at=began.isoformat()))

    code, _run = resume(place.site(), verified, lambda _question: None)

    assert code == ExitCode.ROLLED_BACK
    first = next(line for line in place.said if "budget" in line)
    assert said in first
