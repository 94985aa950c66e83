"""The tool is killed at each boundary of its journal, forward and back; resuming converges, doing nothing twice."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.release.rollout.little import Place

from uniassist.release.env.services import ROLLOUT_ORDER
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records import journal
from uniassist.release.walk import observation, unfinished

ENTRIES = 19  # of a whole run: six steps with intent, effect and observation, and its end
Killer = Callable[[Path, str, int, str], int]
FORWARD = Counter(["prepare v2", "migrate", *(f"deploy {service} v2" for service in ROLLOUT_ORDER)])
BACK = Counter(["stop worker v2", *(f"deploy {service} v1" for service in ROLLOUT_ORDER)])


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    """Forks a run for each call: that is a hundred times cheaper than to start Python."""
    command = [sys.executable, "-m", "tests.integration.release.rollout.little"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def kill(folder: Path, run_id: str, entry: int, when: str) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([str(folder), run_id, entry, when]) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield kill
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.driver.kill_all()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["rollout", "rollback"])
def test_resuming_converges_from_a_kill_at_every_boundary(
    tmp_path: Path, killer: Killer, kind: str, when: str
) -> None:
    for entry in range(1, ENTRIES + 1):
        folder = tmp_path / str(entry)
        folder.mkdir()
        place = Place(folder)
        try:
            _killed_and_resumed(place, killer, kind, entry, when)
        finally:
            place.driver.kill_all()


def _killed_and_resumed(place: Place, killer: Killer, kind: str, entry: int, when: str) -> None:
    back = kind == "rollback"
    v1 = place.release("v1") if back else place.running("v1")
    v2 = place.running("v2") if back else place.release("v2")
    target, previous = (v1, v2) if back else (v2, v1)
    run = place.begin(kind, target, previous)
    assert killer(place.folder, run.id, entry, when) == signal.SIGKILL, f"entry {entry}: no such boundary"

    is_over = when == "after" and entry == ENTRIES
    found = unfinished.find(place.home)
    assert (found is None) == is_over
    if found is not None:
        assert found[1].condition == "under way"
        with pytest.raises(Refused) as refused:
            unfinished.refuse_rollout(place.home)
        assert refused.value.code == ExitCode.UNFINISHED
        with pytest.raises(Refused):
            unfinished.stopped(place.home)
        assert place.conduct(run) == (ExitCode.ROLLED_BACK if back else ExitCode.DONE)

    seen = observation.standing(_seen(place), target)
    assert seen == "all-new", f"entry {entry}"
    assert Counter(place.driver.effects) == (BACK if back else FORWARD), f"entry {entry}"
    assert unfinished.find(place.home) is None
    known = place.home.deployed()
    assert (set(known.services.values()), known.current) == ({target.id}, target.id)
    assert observation.drift(_seen(place), known, place.home.kept) == []
    if back:
        assert [verified.release for verified in known.verified] == [v1.id]
    assert place.home.runs.read(run.id).exit_code == (20 if back else 0)


def _seen(place: Place) -> observation.Seen:
    return asyncio.run(observation.observe_all(place.driver))


def test_a_whole_run_has_as_many_boundaries_as_are_tried(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    out = place.begin("rollout", v2, v1)
    assert place.conduct(out) == ExitCode.DONE
    back = place.begin("rollback", v1, v2)
    assert place.conduct(back) == ExitCode.ROLLED_BACK
    for run in (out, back):
        assert len(journal.read(place.home.runs.folder(run.id) / journal.NAME)) == ENTRIES
