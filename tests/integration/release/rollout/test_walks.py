"""Rollouts and rollbacks on the smallest processes there are: what fails, what is left, and what is said of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.rollout.little import Place, failing

from uniassist.release import interrupts
from uniassist.release.drivers.driver import Observed
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.interrupts import Interrupted
from uniassist.release.records import journal
from uniassist.release.report.masking import Masker
from uniassist.release.rollout import status
from uniassist.release.walk import observation, unfinished


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.driver.kill_all()


def seen(place: Place) -> dict[str, Observed]:
    return asyncio.run(observation.observe_all(place.driver))


def look(place: Place) -> status.Status:
    return asyncio.run(status.look(place.home, place.driver, "nobody watches"))


def test_a_rollout_goes_in_the_runbook_s_order_and_says_so(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    assert place.conduct(place.begin("rollout", v2, v1)) == ExitCode.DONE
    services = ["provider-plan", "adapter-wechat", "gateway", "worker"]
    assert place.driver.effects == ["prepare v2", "migrate", *(f"deploy {service} v2" for service in services)]
    numbered = [line for line in place.said if line.startswith("[")]
    assert [line.split("  ")[0] for line in numbered] == [
        f"[{n}/4] {service} v1 → v2" for n, service in enumerate(services, start=1)
    ]
    assert all("healthy in " in line and "(runbook: Rollout order " in line for line in numbered)
    assert "all-new: every service is v2" in place.said


def test_it_stops_at_the_first_failure_and_says_what_runs(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    place.driver.broken.add("gateway v2")
    run = place.begin("rollout", v2, v1)

    assert place.conduct(run) == ExitCode.ROLLOUT

    said = "\n".join(place.said)
    assert "[3/4] gateway v1 → v2  FAILED" in said
    assert "next: uniassist release rollback" in said
    assert "[4/4] worker v1 → v2  not run" in said
    assert "MIXED" in said
    assert [observed.revision for observed in seen(place).values()] == ["v2", "v2", "v2", "v1"]
    found = look(place)
    assert found.unfinished is not None
    assert "stopped at gateway" in found.unfinished
    assert "MIXED" in found.running
    assert (found.back_to, found.next.startswith("uniassist release resume")) == (v1, True)
    with pytest.raises(Refused) as refused:
        unfinished.refuse_rollout(place.home)
    assert refused.value.code == ExitCode.UNFINISHED


def test_what_stopped_goes_on_once_it_is_mended(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    place.driver.refusing.add("gateway v2")
    run = place.begin("rollout", v2, v1)
    assert place.conduct(run) == ExitCode.ROLLOUT
    place.driver.refusing.clear()
    assert place.conduct(run) == ExitCode.DONE
    assert len(place.driver.effects) == len(set(place.driver.effects)) == 6
    assert unfinished.find(place.home) is None
    entries = journal.read(place.home.runs.folder(run.id) / journal.NAME)
    begun = [entry.step for entry in entries if entry.kind == "intent"]
    assert [begun.count(step) for step in ("prepare", "migrations", "provider-plan", "gateway")] == [1, 1, 1, 2]


def test_a_new_worker_that_won_t_go_is_left_to_do(place: Place) -> None:
    v1, v2 = place.release("v1"), place.running("v2")

    async def stubborn(service: str, revision: str | None = None) -> None:
        del service, revision

    place.driver.stop = stubborn  # type: ignore[method-assign]
    assert place.conduct(place.begin("rollback", v1, v2)) == ExitCode.ROLLBACK_INCOMPLETE
    assert "worker still runs after it was stopped" in "\n".join(place.said)


def test_a_rollback_stops_the_new_worker_first_and_leaves_an_old_one_alone(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    place.driver.broken.add("gateway v2")
    assert place.conduct(place.begin("rollout", v2, v1)) == ExitCode.ROLLOUT
    worker = seen(place)["worker"].instance
    before = len(place.driver.effects)

    stopped = unfinished.stopped(place.home)
    assert stopped is not None
    run = place.begin("rollback", v1, v2)
    unfinished.supersede(place.home, stopped, Masker())
    assert place.conduct(run) == ExitCode.ROLLED_BACK
    assert unfinished.find(place.home) is None

    back = ["provider-plan", "adapter-wechat", "gateway"]
    assert place.driver.effects[before:] == [f"deploy {service} v1" for service in back]
    assert seen(place)["worker"].instance == worker
    assert any("budget " in line and "forecast " in line for line in place.said)
    assert look(place).next == "nothing to do"


def test_a_new_worker_is_stopped_before_anything_else(place: Place) -> None:
    v1, v2 = place.release("v1"), place.running("v2")
    assert place.conduct(place.begin("rollback", v1, v2)) == ExitCode.ROLLED_BACK
    assert place.driver.effects[0] == "stop worker v2"
    assert [verified.release for verified in place.home.deployed().verified] == [v1.id]


def test_another_env_set_of_the_same_revision_is_put_back_too(place: Place) -> None:
    new, old = place.release("v1", env="b"), place.running("v1")
    assert place.conduct(place.begin("rollout", new, old)) == ExitCode.DONE
    assert place.conduct(place.begin("rollback", old, new)) == ExitCode.ROLLED_BACK
    assert {observed.env_digest for observed in seen(place).values()} == {old.env_digest}


def test_a_rollback_does_what_it_can_and_lists_what_is_left(place: Place) -> None:
    v1, v2 = place.release("v1"), place.running("v2")
    place.driver.refusing.add("adapter-wechat v1")
    run = place.begin("rollback", v1, v2)

    assert place.conduct(run, failing) == ExitCode.ROLLBACK_INCOMPLETE

    assert [observed.revision for observed in seen(place).values()] == ["v1", "v2", "v1", "v1"]
    left = [line for line in place.said if line.startswith("LEFT TO DO")]
    assert ["adapter-wechat" in line for line in left] == [True, False]
    assert "the timeline stays empty" in left[1]
    assert place.home.deployed().verified == []

    place.driver.refusing.clear()
    assert place.conduct(run) == ExitCode.ROLLED_BACK


def test_a_stranger_is_an_error_however_healthy(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    observe = place.driver.observe

    async def deceived(service: str) -> Observed:
        found = await observe(service)
        is_stranger = service == "gateway" and found.revision == "v2"
        return Observed(service, "running", "v2", v2.env_digest, "x", True, stranger=True) if is_stranger else found

    place.driver.observe = deceived  # type: ignore[method-assign]
    assert place.conduct(place.begin("rollout", v2, v1)) == ExitCode.ROLLOUT
    assert "isn't what was started here" in "\n".join(place.said)


def test_ctrl_c_finishes_the_effect_under_way_and_can_be_resumed(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    run = place.begin("rollout", v2, v1)
    deploy = place.driver.deploy

    async def interrupted(service: str, release: object) -> None:
        if service == "gateway":
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)
        await deploy(service, v2)

    place.driver.deploy = interrupted  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        interrupts.run(place.work(run), lambda _line: None)

    entries = journal.read(place.home.runs.folder(run.id) / journal.NAME)
    assert [(e.kind, e.step) for e in entries if e.step == "gateway"] == [
        ("intent", "gateway"),
        ("effect", "gateway"),
    ]
    assert entries[-1].found == {"exitCode": 130, "result": "interrupted"}
    assert "MIXED: some services are v2, some are not" in place.said
    place.driver.deploy = deploy  # type: ignore[method-assign]
    assert place.conduct(run) == ExitCode.DONE
    assert len(place.driver.effects) == len(set(place.driver.effects)) == 6


def test_ctrl_c_does_not_wait_for_a_person_who_may_never_come(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    run = place.begin("rollout", v2, v1)
    place.driver.waits_for_a_person = True

    async def by_hand(service: str, release: object) -> None:
        del service, release
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    place.driver.deploy = by_hand  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        interrupts.run(place.work(run), lambda _line: None)

    entries = journal.read(place.home.runs.folder(run.id) / journal.NAME)
    assert entries[-1].found == {"exitCode": 130, "result": "interrupted"}
    assert [entry.kind for entry in entries if entry.step == "provider-plan"] == ["intent"]


def test_an_aborted_run_is_closed_as_it_is(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    place.driver.broken.add("gateway v2")
    run = place.begin("rollout", v2, v1)
    assert place.conduct(run) == ExitCode.ROLLOUT
    before = place.driver.effects
    # As if it had been killed before that was noted.
    place.home.change(lambda known: known.given("gateway", v1.id))
    unfinished.abort(place.home, run, seen(place), Masker())
    assert place.driver.effects == before
    assert unfinished.find(place.home) is None
    assert place.home.runs.progress(run).result == "aborted"
    assert observation.drift(seen(place), place.home.deployed(), place.home.kept) == []
    assert look(place).next == "uniassist release rollback"


def test_what_somebody_else_changed_is_drift(place: Place) -> None:
    place.running("v1")
    other, env = place.release("v9"), place.release("v1", env="b")
    asyncio.run(place.driver.deploy("gateway", other))
    asyncio.run(place.driver.deploy("worker", env))
    drifted = observation.drift(seen(place), place.home.deployed(), place.home.kept)
    assert drifted[0] == "gateway: is v9, but v1 was deployed last"
    assert drifted[1].startswith("worker: runs under env set bbbbbbbb")
    assert look(place).drift == drifted


def test_on_a_first_release_adapter_wechat_waits_for_the_gateway_that_comes_later(place: Place) -> None:
    v1 = place.release("v1")
    assert place.conduct(place.begin("rollout", v1, v1)) == ExitCode.DONE
    said = "\n".join(place.said)
    assert "but for gateway, which comes later" in said
    assert "adapter-wechat v1, once more  ok" in said


def test_a_dead_gateway_holds_no_rollback_up(place: Place) -> None:
    v1, v2 = place.release("v1"), place.running("v2")
    place.driver.broken.add("gateway v2")
    assert place.conduct(place.begin("rollback", v1, v2)) == ExitCode.ROLLED_BACK


def test_what_lacks_more_than_a_later_service_is_not_waited_for(place: Place) -> None:
    v1, v2 = place.running("v1"), place.release("v2")
    place.driver.broken |= {"gateway v2", "provider-plan v2"}
    assert place.conduct(place.begin("rollout", v2, v1)) == ExitCode.ROLLOUT
    assert place.driver.effects == ["prepare v2", "migrate", "deploy provider-plan v2"]
