"""What status says last: what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.rollout.little import Place
from tests.release_history import facts

from uniassist.release.env.services import ROLLOUT_ORDER
from uniassist.release.gate.preflight import Preflight
from uniassist.release.incident.incident import close_incident, open_incident
from uniassist.release.report.masking import Masker
from uniassist.release.rollout import status


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.driver.kill_all()


def next_of(place: Place) -> str:
    return asyncio.run(status.look(place.home, place.driver, "nobody")).next


def test_an_open_incident_is_what_is_left_to_do(place: Place) -> None:
    place.running("v1")
    assert next_of(place) == "nothing to do"
    open_incident(place.home.directory, facts("20261124T070000Z-rollback-v1"), Masker())
    assert next_of(place) == "uniassist release incident close 20261124T070000Z-rollback-v1"
    close_incident(place.home.directory, "20261124T070000Z-rollback-v1", "the pool was 5", "me", Masker())
    assert next_of(place) == "nothing to do"


def test_preflight_after_a_rollback_names_what_a_later_rollback_would_go_back_to(place: Place) -> None:
    """v2 was verified as well, and rolled back from."""
    v1, v2 = place.running("v1"), place.running("v2")
    place.home.change(lambda known: known.doubted(v2.id).aiming_at(v1.id))
    records = place.site().records
    records.know(v2.commit, verify={"at": "2026-11-24T09:00:00.000Z"})
    preflight = Preflight(
        place.folder, "v3", place.home.environment, {}, None, None, None, records, commit="commit-v3"
    )

    assert preflight.revision_before(place.folder) == (v1.commit, "rolls back to v1, verified last")

    v3 = place.release("v3")
    place.home.change(lambda known: known.aiming_at(v3.id))
    back = asyncio.run(status.look(place.home, place.driver, "nobody")).back_to
    assert back is not None
    assert back.tag == "v1"


def test_what_our_own_hand_stopped_is_started_again_and_not_rolled_back(place: Place) -> None:
    place.running("v1")
    place.driver.kill_all()
    assert next_of(place) == "uniassist release rollback"
    for service in ROLLOUT_ORDER:
        place.home.change(lambda known, s=service: known.stopped(s))  # type: ignore[misc]
    assert next_of(place) == "uniassist release start"
