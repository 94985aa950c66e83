"""Two systems, each with its own database, take the same names on one Redis: neither gets an event of the other."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable

import pytest
from tests.integration.delivery.asking import get, health
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, Outbox, opened
from tests.integration.delivery.test_delivery_rescue import SMALL
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import StartError
from uniassist.store.server import identity
from uniassist.store.server.pool import connect
from uniassist.streams.epoch import sentinel_key


@pytest.fixture
async def other_outbox(database_url: str, own_redis: EmbeddedRedis) -> AsyncIterator[Outbox]:
    """The other system's database, and the Redis that both take."""
    async with opened(database_url, own_redis.url) as outbox:
        yield outbox


@pytest.fixture
async def names(own_postgres: EmbeddedPostgres, database_url: str) -> tuple[str, str]:
    """Of the two databases: this system's, the other's."""
    found = []
    for url in (own_postgres.url, database_url):
        async with await connect(url) as connection:
            found.append(await identity.of_database(connection))
    return found[0], found[1]


async def check_of(worker: ServiceProcess, name: str, state: str) -> None:
    async def said() -> bool:
        _, checks = await health(worker)
        return checks[name] == state

    await eventually(said, f"{name} is {state}", 20)


async def log_of(worker: ServiceProcess) -> str:
    return await asyncio.to_thread(worker.process.log.read_text)


async def test_the_second_system_is_refused_at_its_start_and_the_first_one_says_who_wanted_in(
    own_outbox: Outbox,
    other_outbox: Outbox,
    start_own_worker: StartWorker,
    database_url: str,
    names: tuple[str, str],
) -> None:
    ours, theirs = names
    first = start_own_worker(**SMALL)
    await own_outbox.write_many(10, 20)
    await own_outbox.all_consumed()
    await other_outbox.write_many(10, 20, prefix="theirs")

    sentence = f"belongs to the database {ours}, and the database {theirs} asks for it too: give one of the two"
    with pytest.raises(StartError, match=re.escape(sentence)):
        start_own_worker(DATABASE_URL=database_url, **SMALL)
    await check_of(first, "alone", "failing")
    status, body = await get(first, "/health")
    assert (status, json.loads(body)["degraded"]) == (200, True), "it works, and says that something is wrong"
    assert sentence in await log_of(first)

    await own_outbox.write_many(10, 20, prefix="later")
    await own_outbox.all_consumed()
    assert await own_outbox.check_session_streams() == 20
    assert await other_outbox.states() == {"pending": 200}


async def test_a_stranger_that_takes_the_stream_of_a_running_worker_gets_none_of_its_events_and_loses_none(
    own_outbox: Outbox,
    other_outbox: Outbox,
    start_own_worker: StartWorker,
    database_url: str,
    names: tuple[str, str],
) -> None:
    ours, theirs = names
    first = start_own_worker(**SMALL)
    await own_outbox.write_many(10, 20)
    await own_outbox.all_consumed()
    first.process.pause()  # with its blocked read, which is given the other's first entries
    await own_outbox.redis.delete(sentinel_key(GLOBAL))
    second = start_own_worker(DATABASE_URL=database_url, **SMALL)
    await other_outbox.write_many(10, 20, prefix="theirs")
    await eventually(lambda: own_outbox.redis.exists(sentinel_key(GLOBAL)), "the other one has the stream")
    first.process.resume()

    await check_of(first, "delivery", "failing")
    await check_of(second, "alone", "failing")
    for worker in (first, second):
        assert f"belongs to the database {theirs}, and the database {ours} asks" in await log_of(worker)
    await own_outbox.write_many(10, 20, prefix="mine")
    await other_outbox.all_consumed()
    assert (await own_outbox.states())["consumed"] == 200

    await asyncio.to_thread(second.stop)
    await own_outbox.redis.delete(sentinel_key(GLOBAL))
    await own_outbox.all_consumed()
    assert await own_outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events") == 0
    await check_of(first, "delivery", "ok")


async def test_the_wechat_adapter_of_the_second_system_reads_nothing_of_the_firsts_stream(
    own_outbox: Outbox,
    start_own_worker: StartWorker,
    service: Callable[..., ServiceProcess],
    database_url: str,
    own_redis: EmbeddedRedis,
) -> None:
    start_own_worker(**SMALL)
    await own_outbox.write_many(2, 2)
    await own_outbox.all_consumed()
    adapter = service("adapter-wechat", DATABASE_URL=database_url, REDIS_URL=own_redis.url)
    await check_of(adapter, "redis", "failing")
    groups = {group["name"] for group in await own_outbox.redis.xinfo_groups(GLOBAL)}
    assert groups == {b"ua-delivery"}
