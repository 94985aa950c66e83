"""What follows from a good verification: a release to roll back to, and nothing kept that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.rollout.little import Place, failing

from uniassist.release.exit_codes import ExitCode
from uniassist.release.records.kept_releases import Release
from uniassist.release.records.lock import locked
from uniassist.release.walk.verified import note_verified


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.driver.kill_all()


def kept(place: Place) -> list[str]:
    return [release.tag for release in place.home.kept.all()]


def good(place: Place) -> list[str]:
    return [place.home.kept.get(known.release).tag for known in place.home.deployed().verified]


def answering(release: Release) -> dict[str, str]:
    return {"gateway": release.tag, "worker": release.tag}


def test_a_verification_of_what_runs_makes_it_good_and_removes_what_nobody_needs(place: Place) -> None:
    place.release("v0")
    v1 = place.running("v1")
    place.home.change(lambda known: known.doubted(v1.id))

    note_verified(place.home, place.driver, answering(v1), place.told.say)

    assert good(place) == ["v1"]
    assert (kept(place), place.driver.pruned_for) == (["v1"], [["v1"]])
    assert "v1 is good" in place.told.said


@pytest.mark.parametrize("seen", [{"gateway": "v1", "worker": "v9"}, {"gateway": "v9"}, {}])
def test_a_verification_of_anything_else_changes_nothing(place: Place, seen: dict[str, str]) -> None:
    place.release("v0")
    v1 = place.running("v1")
    place.home.change(lambda known: known.doubted(v1.id))

    note_verified(place.home, place.driver, seen, place.told.say)

    assert (good(place), kept(place), place.driver.pruned_for) == ([], ["v0", "v1"], [])


def test_a_verification_beside_another_hand_says_that_it_is_not_noted(place: Place) -> None:
    place.release("v0")
    v1 = place.running("v1")
    place.home.change(lambda known: known.doubted(v1.id))
    with locked(place.home.lock, "somebody else"):
        note_verified(place.home, place.driver, answering(v1), place.told.say)
    assert (good(place), kept(place)) == ([], ["v0", "v1"])
    assert "NOT noted as verified: locked by" in place.told.said


def test_a_rollback_that_is_verified_removes_what_nobody_needs_but_not_what_it_left(place: Place) -> None:
    """That stays for the incident note; the next good verification takes it away."""
    place.release("v0")
    v1, v2 = place.release("v1"), place.running("v2")

    assert place.conduct(place.begin("rollback", v1, v2)) == ExitCode.ROLLED_BACK

    assert good(place) == ["v1"]
    assert (kept(place), place.driver.pruned_for) == (["v1", "v2"], [["v1", "v2"]])
    note_verified(place.home, place.driver, answering(v1), place.told.say)
    assert (kept(place), place.driver.pruned_for[1:]) == (["v1"], [["v1"]])


def test_a_rollback_that_is_not_verified_removes_nothing(place: Place) -> None:
    place.release("v0")
    v1, v2 = place.release("v1"), place.running("v2")
    assert place.conduct(place.begin("rollback", v1, v2), failing) == ExitCode.ROLLBACK_INCOMPLETE
    assert (good(place), kept(place), place.driver.pruned_for) == ([], ["v0", "v1", "v2"], [])


def test_what_cannot_be_removed_is_said_and_the_release_is_good_all_the_same(place: Place) -> None:
    old = place.release("v0")
    v1, v2 = place.release("v1"), place.running("v2")
    # A folder in the way of its removal.
    (old.folder.parent / f".old-{old.id}" / "in the way").mkdir(parents=True)

    assert place.conduct(place.begin("rollback", v1, v2)) == ExitCode.ROLLED_BACK

    assert good(place) == ["v1"]
    assert "NOT removed, what no release needs any more" in place.told.said
