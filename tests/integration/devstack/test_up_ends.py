"""How `up` starts, ends and starts again: signals, SIGKILL, --detach, and what keeps it from starting."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Callable
from functools import partial

import psutil
import pytest
from tests.integration.devstack.system import SERVICES, System, alive, get, gone, ingest, timeline
from tests.waiting import eventually

from uniassist.devstack.plan import STOP_ORDER
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

NewSystem = Callable[..., System]


async def test_ctrl_c_under_load_drains_in_order_and_keeps_what_was_acknowledged(new_system: NewSystem) -> None:
    system = new_system()
    await system.up()
    before, family, gateway = system.status(), system.family(), system.url("gateway")

    async def write(session: str) -> list[str]:
        acknowledged: list[str] = []
        while await asyncio.to_thread(ingest, gateway, session, len(acknowledged)):
            acknowledged.append(f"{session}-{len(acknowledged)}")
        return acknowledged

    sessions = [f"drained-{number}" for number in range(4)]
    writers = [asyncio.create_task(write(session)) for session in sessions]
    await eventually(lambda: all(timeline(gateway, session) for session in sessions), "messages flow")
    system.signal(signal.SIGINT)
    assert await system.ended() == 0
    acknowledged = [await writer for writer in writers]
    await gone(family)
    assert re.findall(r"^stopping +(\S+)$", system.said(), re.MULTILINE) == [*STOP_ORDER, "redis", "postgres"]
    shut_down = not (system.directory / "postgres" / "data" / "postmaster.pid").exists()
    assert shut_down, "Postgres ended in its own way, it was not killed"

    await system.up()
    after = system.status()
    assert (after["databaseUrl"], after["redisUrl"]) == (before["databaseUrl"], before["redisUrl"])
    for session, expected in zip(sessions, acknowledged, strict=True):
        events = timeline(gateway, session)
        assert expected
        assert set(expected) <= {event["traceId"] for event in events if event["kind"] == "inbound"}
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


async def test_sigkill_of_up_leaves_no_process_and_the_next_up_works(new_system: NewSystem) -> None:
    system = new_system()
    await system.up()
    family = system.family()
    assert len(family) > len(SERVICES) + 2, "services, Redis, Postgres and its own processes"
    assert ingest(system.url("gateway"), "before", 1)
    system.signal(signal.SIGKILL)
    await system.ended()
    await gone(family)
    assert system.run("status").returncode == 1
    assert system.run("down").returncode == 0

    await system.up()
    assert system.run("status").returncode == 0
    assert timeline(system.url("gateway"), "before")[0]["traceId"] == "before-1"


async def test_a_signal_while_starting_stops_what_was_started(new_system: NewSystem) -> None:
    system = new_system()
    system.begin()
    await system.says("database  schema")
    family = system.family()
    assert family
    system.signal(signal.SIGTERM)
    assert await system.ended() != 0
    await gone(family)


def test_detach_status_down_and_each_of_them_twice(new_system: NewSystem) -> None:
    system = new_system()
    up = system.run("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert all(system.url(service) in up.stdout for service in SERVICES)
    assert f"uniassist down --state-dir {system.directory}" in up.stdout
    status = system.status()
    family = psutil.Process(status["pid"]).children(recursive=True)
    assert status["ready"] is True
    assert (system.directory / "logs" / "up.log").exists()

    down = system.run("down")
    assert (down.returncode, "stopped" in down.stdout) == (0, True), down.stderr
    assert not any(alive(process) for process in family)
    again = system.run("down")
    assert (again.returncode, "nothing runs" in again.stdout) == (0, True)
    stopped = system.run("status", "--json")
    assert (stopped.returncode, json.loads(stopped.stdout)["running"]) == (1, False)


def test_what_keeps_a_service_from_starting_comes_back_from_the_background(new_system: NewSystem) -> None:
    system = new_system(HOST="0.0.0.0")
    done = system.run("up", "--detach")
    shown = done.stdout + done.stderr
    assert done.returncode == 1
    assert "HOST: dev listens on loopback only" in shown
    assert "Traceback" not in shown
    assert system.run("status").returncode == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_PORT", "many"),
        ("DATABASE_URL", "mysql://127.0.0.1/x"),
        ("DATABASE_URL", "postgresql://u:s3cret-word@127.0.0.1:9/x"),
        ("UNIASSIST_ENV", "production"),
    ],
)
def test_a_wrong_setting_is_named_and_its_secret_is_not(new_system: NewSystem, variable: str, value: str) -> None:
    done = new_system(**{variable: value}).run("up")
    shown = done.stdout + done.stderr
    assert done.returncode == 1
    assert variable in shown
    assert "s3cret-word" not in shown
    assert "Traceback" not in shown


async def test_given_servers_that_stop_and_start_show_in_health_within_five_seconds(
    new_system: NewSystem, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    system = new_system(DATABASE_URL=own_postgres.url, REDIS_URL=own_redis.url)
    await system.up()
    assert not (system.directory / "postgres").exists()
    assert not (system.directory / "redis").exists()
    pids, gateway, worker = system.pids(), system.url("gateway"), system.url("worker")
    assert ingest(gateway, "given", 1)

    own_redis.stop()
    await eventually(lambda: _redis_shows(gateway, "away (connection refused)"), "the gateway tells of Redis", 5)
    await eventually(lambda: get(f"{worker}/health")[0] == 503, "the worker tells of Redis", 5)
    assert get(f"{gateway}/health")[1]["degraded"] is True
    assert ingest(gateway, "given", 2), "without Redis messages are accepted all the same"
    own_redis.start()
    await eventually(lambda: _redis_shows(gateway, "ok"), "the gateway tells that Redis is back", 5)
    await eventually(lambda: get(f"{worker}/health")[0] == 200, "the worker tells that Redis is back", 5)

    own_postgres.stop()
    for service in (gateway, worker):
        await eventually(partial(_health_is, service, 503), f"{service} tells of Postgres", 5)
        assert get(f"{service}/health/live")[0] == 200
    assert not ingest(gateway, "given", 3)
    assert system.run("status").returncode == 1
    own_postgres.start()
    for service in (gateway, worker):
        await eventually(partial(_health_is, service, 200), f"{service} tells that it is back", 5)
    assert ingest(gateway, "given", 4)
    assert system.pids() == pids, "the services stayed up"
    written = [event["traceId"] for event in timeline(gateway, "given") if event["kind"] == "inbound"]
    assert {"given-1", "given-2", "given-4"} <= set(written)


def _health_is(url: str, status: int) -> bool:
    return get(f"{url}/health")[0] == status


def _redis_shows(gateway: str, state: str) -> bool:
    return bool(get(f"{gateway}/health")[1].get("checks", {}).get("redis") == state)
