from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.release.commands import Command, everything
from tests.integration.release.conftest import GLOBAL_KEY, GROUP
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.release.checks.injected import DRILL_PREFIX
from uniassist.release.checks.stream_entries import clock_ms, groups
from uniassist.release.drill.cleanup import clean_up
from uniassist.release.drill.drill import Drill
from uniassist.release.drill.target import DrillTarget
from uniassist.release.report.checklist import CheckFailed
from uniassist.store import outbox
from uniassist.store.server import pool
from uniassist.store.server.pool import Connection
from uniassist.streams.client import Redis, connect

WITHOUT_TRACE = "left: nothing"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as redis:
        yield redis


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    connection = await pool.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def worker(
    service: Callable[..., ServiceProcess], live: dict[str, str], redis: Redis, connection: Connection
) -> ServiceProcess:
    """A worker that has delivered one event of its own."""
    names = ("DATABASE_URL", "REDIS_URL", "UNIASSIST_STREAM_GROUP")
    process = service("worker", **{name: live[name] for name in names})
    await outbox.inject(connection, event_id="mine", session_id="mine")
    await eventually(lambda: consumed(connection, "mine"), "the worker has delivered its own event")
    return process


async def consumed(connection: Connection, event_id: str) -> bool:
    return await outbox.status_of(connection, event_id) == "consumed"


def report_of(live: dict[str, str]) -> Any:
    return json.loads(Path(live["WORKER_DRILL_OUTPUT_PATH"]).with_suffix(".json").read_text())


async def test_a_live_drill_passes_and_leaves_no_trace(
    command: Command, live: dict[str, str], worker: ServiceProcess, connection: Connection
) -> None:
    before = everything(live["DATABASE_URL"], live["REDIS_URL"])
    leftover = f"{DRILL_PREFIX}of-a-killed-one-1"
    await outbox.inject(connection, event_id=leftover, session_id=leftover, status="dead_letter", attempts=12)

    ended = command("drill", "worker", **live)

    assert ended.code == 0, ended.said
    assert [line[:5] for line in ended.out.splitlines() if "(runbook: Live drill steps" in line] == [
        f"[{number}/4]" for number in (1, 2, 3, 4)
    ]
    assert "unconfirmed of others: 0 before, 0 after" in " ".join(ended.out.split())
    assert everything(live["DATABASE_URL"], live["REDIS_URL"]) == before
    path = Path(live["WORKER_DRILL_OUTPUT_PATH"])
    assert path.read_text().startswith("# Worker reliability drill, mode live: passed\n")
    assert "updated: 0" in path.read_text()
    kept = list(path.parent.glob("drill-*-live-*.md"))
    assert [copy.read_text() for copy in kept] == [path.read_text()]
    assert kept[0].stat().st_mode & 0o222 == 0
    password = live["DATABASE_URL"].partition("://")[2].partition("@")[0].partition(":")[2]
    assert password not in ended.said + path.read_text() + path.with_suffix(".json").read_text()


async def test_a_group_that_is_not_the_workers_is_refused(
    command: Command, live: dict[str, str], worker: ServiceProcess, redis: Redis
) -> None:
    await redis.xgroup_create(GLOBAL_KEY, "somebody-elses", id="$")
    before = everything(live["DATABASE_URL"], live["REDIS_URL"])

    for group in ("ua-delivery-prod", "somebody-elses"):
        ended = command("drill", "worker", **{**live, "UNIASSIST_STREAM_GROUP": group})
        assert (ended.code, f"set UNIASSIST_STREAM_GROUP={GROUP}" in ended.err) == (2, True), ended.said

    assert everything(live["DATABASE_URL"], live["REDIS_URL"]) == before
    assert not Path(live["WORKER_DRILL_OUTPUT_PATH"]).exists()


async def test_the_group_that_the_worker_read_before_it_was_given_another_is_refused(
    command: Command,
    live: dict[str, str],
    worker: ServiceProcess,
    service: Callable[..., ServiceProcess],
    connection: Connection,
) -> None:
    worker.stop()
    names = ("DATABASE_URL", "REDIS_URL")
    service("worker", **{name: live[name] for name in names}, UNIASSIST_STREAM_GROUP="next")
    await outbox.inject(connection, event_id="next", session_id="next")
    await eventually(lambda: consumed(connection, "next"), "the worker reads its new group")

    ended = command("drill", "worker", **live)
    assert (ended.code, "set UNIASSIST_STREAM_GROUP=next" in ended.err) == (2, True), ended.said
    ended = command("drill", "worker", **{**live, "UNIASSIST_STREAM_GROUP": "next"})
    assert ended.code == 0, ended.said


async def test_two_workers_in_two_groups_are_refused(
    command: Command,
    live: dict[str, str],
    worker: ServiceProcess,
    service: Callable[..., ServiceProcess],
    redis: Redis,
) -> None:
    names = ("DATABASE_URL", "REDIS_URL")
    service("worker", **{name: live[name] for name in names}, UNIASSIST_STREAM_GROUP="ua-delivry")

    async def reads() -> bool:
        return "ua-delivry" in await groups(redis, GLOBAL_KEY)

    await eventually(reads, "the second worker reads")
    ended = command("drill", "worker", **live)
    assert ended.code == 2, ended.said
    assert "read in 2 groups" in ended.err
    assert "ua-delivry" in ended.err


async def test_a_stream_that_nobody_reads_is_refused(command: Command, live: dict[str, str]) -> None:
    ended = command("drill", "worker", **live)
    assert (ended.code, "UNIASSIST_STREAM_GLOBAL_KEY" in ended.err) == (2, True), ended.said


async def test_a_dead_worker_fails_the_drill_without_a_trace(
    command: Command, live: dict[str, str], worker: ServiceProcess
) -> None:
    worker.stop()
    before = everything(live["DATABASE_URL"], live["REDIS_URL"])

    ended = command("drill", "worker", **{**live, "WORKER_DRILL_TIMEOUT_MS": "3000"})

    assert ended.code == 40, ended.said
    assert "No worker holds a lease" in " ".join(ended.out.split())
    assert ended.out.count("not run") == 3
    assert everything(live["DATABASE_URL"], live["REDIS_URL"]) == before


async def test_without_the_nogroup_step_it_is_inconclusive(
    command: Command, live: dict[str, str], worker: ServiceProcess
) -> None:
    ended = command("drill", "worker", **{**live, "WORKER_DRILL_ENABLE_NOGROUP": "false"})
    assert ended.code == 41, ended.said
    assert "[2/4] group destroyed  skipped" in ended.out


async def test_ctrl_c_leaves_no_trace_and_a_report(
    command: Command, live: dict[str, str], worker: ServiceProcess, connection: Connection
) -> None:
    before = everything(live["DATABASE_URL"], live["REDIS_URL"])

    ended = command.interrupted("drill", "worker", when=lambda line: line.startswith("[1/4]"), **live)

    assert ended.code == 130, ended.said
    assert everything(live["DATABASE_URL"], live["REDIS_URL"]) == before
    assert report_of(live)["result"] == "interrupted"
    assert WITHOUT_TRACE in report_of(live)["cleanUp"]


async def test_a_group_that_no_worker_makes_again_is_made_again_by_the_clean_up(
    live: dict[str, str], worker: ServiceProcess, connection: Connection, redis: Redis
) -> None:
    worker.stop()
    before = everything(live["DATABASE_URL"], live["REDIS_URL"])
    target = DrillTarget(
        mode="live",
        database_url=live["DATABASE_URL"],
        redis_url=live["REDIS_URL"],
        prefix=live["UNIASSIST_STREAM_PREFIX"],
        global_key=GLOBAL_KEY,
        group=GROUP,
        env=live,
        step_seconds=2.0,
        destroys_group=True,
    )
    drill, begun_ms = Drill(target, connection, redis), await clock_ms(redis)

    with pytest.raises(CheckFailed, match="is there again"):
        await drill.recover_group()
    assert await groups(redis, GLOBAL_KEY) == []
    cleaned = await clean_up(drill, begun_ms)

    assert (cleaned.group_restored, cleaned.left) == (True, [])
    assert await groups(redis, GLOBAL_KEY) == [GROUP]
    assert everything(live["DATABASE_URL"], live["REDIS_URL"]) == before


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"WORKER_DRILL_MODE": ""}, "WORKER_DRILL_MODE: not set"),
        ({"WORKER_DRILL_MODE": "lively"}, "WORKER_DRILL_MODE"),
        ({"UNIASSIST_ENV": "prod"}, "refuses prod"),
        ({"DATABASE_URL": "", "REDIS_URL": ""}, "DATABASE_URL, REDIS_URL: required"),
        ({"WORKER_DRILL_TIMEOUT_MS": "soon"}, "WORKER_DRILL_TIMEOUT_MS"),
        ({"WORKER_DRILL_OUTPUT_PATH": "/proc/nowhere/drill.md"}, "WORKER_DRILL_OUTPUT_PATH"),
    ],
)
def test_wrong_usage_touches_nothing(
    command: Command, live: dict[str, str], env: dict[str, str], named: str
) -> None:
    ended = command("drill", "worker", **{**live, **env})
    assert (ended.code, named in ended.err) == (2, True), ended.said
