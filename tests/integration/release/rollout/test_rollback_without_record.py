"""A rollback whose record can't be written: it rolls back, says so, and its evidence is incomplete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.full_disk import disk, fill
from tests.integration.release.rollout.little import Place

from uniassist.release.evidence.items import Collection
from uniassist.release.evidence.subject import EvidenceSubject
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.incident.incident import Revision
from uniassist.release.records import journal
from uniassist.release.records.kept_releases import Release
from uniassist.release.records.room import require_room
from uniassist.release.records.runs import progress_of
from uniassist.release.rollback.rollback import RollbackRequest, roll_back


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.driver.kill_all()


async def verified(_release: Release) -> str:
    return "verified"


def rolled_back(place: Place) -> ExitCode:
    return roll_back(place.site(), RollbackRequest(None, None), verified, lambda _question: None)[0]


def journal_elsewhere(place: Place) -> Path:
    (said,) = [line for line in place.said if "what could be kept of it is in " in line]
    (found,) = Path(said.rpartition(" is in ")[2]).glob("*.jsonl")
    return found


def test_runs_that_cannot_be_kept_hold_nothing_up(place: Place) -> None:
    v1, v2 = place.running("v1"), place.running("v2")
    rollout = place.begin("rollout", v2, v1)
    runs = place.home.runs.directory
    runs.rename(runs.with_name("runs-of-before"))
    runs.write_text("no directory")

    assert rolled_back(place) == ExitCode.ROLLED_BACK

    assert "NOT recorded: " in place.told.said
    assert "the evidence of this rollback is INCOMPLETE" in place.told.said
    entries = journal.read(journal_elsewhere(place))
    assert progress_of(entries).result == "rolled back"
    known = json.loads((place.home.own / "deployed.json").read_text())
    assert known["current"] == v1.id
    assert [lost["released"] for lost in known["unrecorded"]] == [v2.id]

    subject = EvidenceSubject("x", "staging", Revision("v2"), Revision("v1"), False, rollout)
    runs.unlink()
    (item,) = Collection(subject, place.home.directory, place.folder).unrecorded()
    assert (item.state, "can't be made" in item.said) == ("missing", True)


def test_a_full_disk_holds_nothing_up(tmp_path: Path) -> None:
    with disk(tmp_path / "small") as small:
        place = Place(small)
        try:
            v1 = place.running("v1")
            place.running("v2")
            place.driver.folder.joinpath("effects.log").touch()
            fill(small)
            # What runs keeps its files elsewhere in this test; the records are what is full.
            place.driver.folder = tmp_path / "services"
            place.driver.folder.mkdir()
            with pytest.raises(Refused, match="is full"):
                require_room(place.home.directory, 1)

            assert rolled_back(place) == ExitCode.ROLLED_BACK

            assert "No space left on device" in place.told.said
            known = json.loads((place.home.own / "deployed.json").read_text())
            assert (known["current"], set(known["services"].values())) == (v1.id, {v1.id})
        finally:
            place.driver.kill_all()
