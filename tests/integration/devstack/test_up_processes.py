"""`up` with services of several processes: one service to `status` and `down`, and none of it is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
from tests.integration.devstack.system import System, alive, get, gone, ingest, timeline
from tests.waiting import eventually

NewSystem = Callable[..., System]


async def test_up_runs_services_of_several_processes_and_ends_them_all(new_system: NewSystem) -> None:
    system = new_system(GATEWAY_PROCESSES="2", PROVIDER_PLAN_PROCESSES="2", PROVIDER_REMINDER_PROCESSES="2")
    await system.up()
    family = system.family()
    gateway = psutil.Process(system.pids()["gateway"])
    await eventually(lambda: len(gateway.children()) == 2, "two processes")
    assert {service["health"] for service in system.status()["services"]} == {"ok"}
    assert ingest(system.url("gateway"), "of-two", 1, "帮我做一个周末的计划")
    await eventually(
        lambda: "completed" in str(timeline(system.url("gateway"), "of-two")), "the plan's processes have answered"
    )
    os.kill(gateway.children()[0].pid, signal.SIGKILL)

    def all_well() -> bool:
        status, health = get(f"{system.url('gateway')}/health")
        return status == 200 and health["checks"]["processes"] == "ok" and len(gateway.children()) == 2

    await eventually(all_well, "it is replaced, and `up` needs to do nothing")
    assert system.pids()["gateway"] == gateway.pid
    assert "gateway ended" not in system.said()
    family += system.family()
    assert system.run("down").returncode == 0
    await gone(family)


async def test_up_refuses_a_wrong_number_before_anything_runs(new_system: NewSystem) -> None:
    system = new_system(PROVIDER_PLAN_PROCESSES="none")
    system.begin()
    assert await system.ended() == 1
    assert "PROVIDER_PLAN_PROCESSES: expected an integer from 1 to 64" in system.said()


async def test_a_killed_parent_is_started_again_on_its_port(new_system: NewSystem) -> None:
    system = new_system(GATEWAY_PROCESSES="2")
    await system.up()
    before = psutil.Process(system.pids()["gateway"])
    children = before.children()
    before.kill()
    await gone(children)
    await eventually(
        lambda: get(f"{system.url('gateway')}/health")[0] == 200 and system.pids()["gateway"] != before.pid,
        "another one is healthy",
    )
    assert alive(psutil.Process(system.pids()["gateway"]))
