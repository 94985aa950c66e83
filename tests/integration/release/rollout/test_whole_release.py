"""`release run` from preflight to the watch: the order, where it stops, and what is kept of each part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.rollout.checkout import Checkout

from uniassist.release.exit_codes import ExitCode
from uniassist.release.records.kept_releases import Release
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.rollout.whole_release import release


class Rest:
    """What follows the rollout, as a test wants it."""

    def __init__(self, wrong: str = "") -> None:
        self.done: list[str] = []
        self._wrong = wrong

    async def verify(self, rolled_out: Release) -> str:
        self.done.append(f"verify {rolled_out.tag}")
        if self._wrong:
            raise CheckFailed(self._wrong)
        return "nine steps ok"

    def watch(self, rolled_out_at: str) -> ExitCode:
        self.done.append(f"watch since {rolled_out_at}")
        return ExitCode.TRIGGER_HELD


@pytest.fixture
def place(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Checkout]:
    """v1 runs; v0 is kept, and nobody needs it any more."""
    made = Checkout(tmp_path, database_url, redis_url)
    made.release("v0")
    made.running("v1")
    yield made
    made.driver.kill_all()


def run(place: Checkout, rest: Rest) -> ExitCode:
    return release(place.opened(), place.repo.path, "v2", rest.verify, rest.watch)


def records(place: Checkout) -> dict[str, str]:
    """Each command's own lines, by its name."""
    logs = sorted((place.home.directory / "runs").glob("*.log"))
    return {path.name.split("-")[1]: path.read_text() for path in logs}


def test_it_goes_from_preflight_to_the_watch_and_ends_as_that_ends(place: Checkout) -> None:
    place.tag("v2")
    rest = Rest()

    assert run(place, rest) == ExitCode.TRIGGER_HELD

    started = place.home.runs.all("staging")[-1].started_at
    assert rest.done == ["verify v2", f"watch since {started}"]
    preflight, gate = (other.said for other in place.told.others)
    assert "ready for the gate" in preflight
    assert "gate green" in gate
    assert place.told.said.index("[4/4] worker v1 → v2") < place.told.said.index("v2 is verified; nine steps ok")
    kept = records(place)
    assert ("ready for the gate" in kept["preflight"], "gate green" in kept["preflight"]) == (True, False)
    assert ("gate green" in kept["gate"], "ready for the gate" in kept["gate"]) == (True, False)
    # What it verified is good, and what nobody needs is removed.
    assert place.home.deployed().verified[-1].release == place.kept("v2").id
    assert [each.tag for each in place.home.kept.all()] == ["v1", "v2"]
    assert place.driver.pruned_for == [["v1", "v2"]]


def test_what_is_not_verified_is_not_good_and_not_watched(place: Checkout) -> None:
    place.tag("v2")
    rest = Rest(wrong="the timeline stays empty")
    assert run(place, rest) == ExitCode.VERIFY
    assert rest.done == ["verify v2"]
    assert [known.release for known in place.home.deployed().verified] == [place.kept("v1").id]
    assert place.driver.pruned_for == []
    assert "v2 is NOT verified: the timeline stays empty next: uniassist release rollback" in place.told.said


def test_a_rollout_that_stops_is_neither_verified_nor_watched(place: Checkout) -> None:
    place.tag("v2")
    place.driver.broken.add("gateway v2")
    rest = Rest()
    assert (run(place, rest), rest.done) == (ExitCode.ROLLOUT, [])


def test_a_red_gate_ends_it_before_anything_is_touched(place: Checkout) -> None:
    place.tag("v2", **{"src/uniassist/cli/broken.txt": "smoke"})
    rest = Rest()
    assert (run(place, rest), rest.done) == (ExitCode.GATE, [])
    assert (place.driver.effects, "gate RED: smoke" in place.told.others[1].said) == ([], True)


def test_without_its_prerequisites_not_even_the_gate_runs(place: Checkout) -> None:
    place.tag("v2")
    place.repo.write("forgotten.py", "x = 1\n")
    rest = Rest()
    assert (run(place, rest), rest.done) == (ExitCode.PREFLIGHT, [])
    assert (len(place.told.others), set(records(place)), place.driver.effects) == (1, {"preflight"}, [])
