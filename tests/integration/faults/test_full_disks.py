"""A disk without a byte left under Postgres, and under Redis: told by name, nothing lost, well with the room."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from tests.conftest import REDIS_FLAVOUR
from tests.full_disk import disk, fill, make_room
from tests.integration.delivery.asking import health
from tests.integration.delivery.outbox_rows import opened
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import ReadOnly
from uniassist.store import migrate
from uniassist.streams.client import connect
from uniassist.streams.proof import prove_writing
from uniassist.web.calling.client import JsonClient

Start = Callable[..., ServiceProcess]
TRUTH_SECONDS = 5.0
CANNOT_SAVE = "read-only (its disk or its configuration)"


@pytest.fixture
def small_disk(server_directory: Path) -> Iterator[Path]:
    with disk(server_directory / "small-disk", 160, mode="755") as mounted:
        yield mounted
    (server_directory / "small-disk").rmdir()


@pytest.fixture
def postgres_on_it(small_disk: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(small_disk / "postgres", log=small_disk.parent / "small-postgres.log")
    server.start()
    migrate.upgrade(server.url)
    yield server
    server.process.kill()


@pytest.fixture
def redis_on_it(small_disk: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(small_disk / "redis", flavour=REDIS_FLAVOUR, log=small_disk.parent / "small-redis.log")
    server.start()
    yield server
    server.process.kill()


async def tells(service: ServiceProcess, server: str, said: str) -> bool:
    _, checks = await health(service)
    return checks[server] == said


async def test_a_full_disk_under_postgres(
    service: Start, small_disk: Path, postgres_on_it: EmbeddedPostgres, redis_url: str
) -> None:
    gateway = service("gateway", DATABASE_URL=postgres_on_it.url, REDIS_URL=redis_url)
    async with JsonClient() as client, opened(postgres_on_it.url, redis_url) as outbox:
        asked = GatewayClient(client, gateway.url)
        sent = [message("你好") for _ in range(40)]
        for each in sent[:20]:
            await asked.ingest(each)
        fill(small_disk)
        answers = await asyncio.gather(*(asked.post("/v0/ingest", each) for each in sent[20:]))
        await eventually(partial(tells, gateway, "postgres", "full (disk)"), "it says so", TRUTH_SECONDS)
        make_room(small_disk)
        await eventually(partial(tells, gateway, "postgres", "ok"), "it is well", TRUTH_SECONDS)

        fill(small_disk)
        await asyncio.to_thread(use_up_log, postgres_on_it)
        await eventually(lambda: not postgres_on_it.process.running, "without room for its log it ends itself")
        await eventually(
            partial(tells, gateway, "postgres", "away (connection refused)"), "it says so", TRUTH_SECONDS
        )
        make_room(small_disk)
        await asyncio.to_thread(postgres_on_it.start)
        await eventually(partial(tells, gateway, "postgres", "ok"), "it is well", TRUTH_SECONDS)
        await asked.ingest(message("你好"))

        taken = sent[:20] + [each for each, answer in zip(sent[20:], answers, strict=True) if answer.status == 200]
        assert {answer.status for answer in answers} <= {200, 503}
        kept = {row["trace_id"] for row in await outbox.pool.fetch("SELECT trace_id FROM timeline_events")}
        assert {each["traceId"] for each in taken} - kept == set()


def use_up_log(server: EmbeddedPostgres) -> None:
    """More than a segment of the write-ahead log, whose next one has no room."""
    with psycopg.connect(server.url, autocommit=True) as connection, contextlib.suppress(psycopg.Error):
        for _ in range(40):
            connection.execute("SELECT pg_logical_emit_message(true, 'x', repeat(md5(random()::text), 30000))")


async def test_a_full_disk_under_a_redis_that_appends_to_a_file(
    service: Start, small_disk: Path, redis_on_it: EmbeddedRedis, database_url: str
) -> None:
    with Redis.from_url(redis_on_it.url) as admin:
        admin.config_set("appendonly", "yes")
    worker = service("worker", DATABASE_URL=database_url, REDIS_URL=redis_on_it.url)
    async with opened(database_url, redis_on_it.url) as outbox:
        await outbox.write_turn("s", 3)
        await outbox.all_consumed()
        fill(small_disk)
        await outbox.write_turn("s", 3)
        await eventually(partial(tells, worker, "redis", CANNOT_SAVE), "it says so", TRUTH_SECONDS)
        await outbox.write_turn("s", 3)
        make_room(small_disk)
        await eventually(partial(tells, worker, "redis", "ok"), "it is well", TRUTH_SECONDS)
        await outbox.all_consumed(deadline_seconds=TRUTH_SECONDS)
        await outbox.check_session_streams()


async def test_a_full_disk_under_a_redis_that_saves(small_disk: Path, redis_on_it: EmbeddedRedis) -> None:
    with Redis.from_url(redis_on_it.url) as admin:
        admin.config_set("save", "3600 1")
        fill(small_disk)
        admin.set("a", "b")
        admin.bgsave()
        async with connect(redis_on_it.url) as redis:

            async def cannot_save() -> bool:
                try:
                    await prove_writing(redis)
                except ReadOnly as fault:
                    return fault.without_server == CANNOT_SAVE
                return False

            await eventually(cannot_save, "it says so", TRUTH_SECONDS)
            make_room(small_disk)
            admin.bgsave()

            async def saves() -> bool:
                return not await cannot_save()

            await eventually(saves, "it is well", TRUTH_SECONDS)
