"""Workers whose sessions ended: their shards are taken before their leases end, and nobody else's are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.integration.delivery.outbox_rows import Outbox

from uniassist.store import delivery as store
from uniassist.store.delivery import Heartbeat
from uniassist.store.server.pool import Pool


async def beat(pool: Pool, worker: str) -> Heartbeat:
    return await store.heartbeat(pool, worker, lease_seconds=600, epoch=None, take=True, per_second=0.0)


async def let_silence_pass(outbox: Outbox, worker: str) -> None:
    """Wait until it counts as silent."""
    async with asyncio.timeout(10):
        while not await outbox.pool.fetchval(
            "SELECT beat_at < now() - $2::interval FROM delivery_workers WHERE worker = $1", worker, store.SILENCE
        ):
            await asyncio.sleep(0.05)


async def session_ended(outbox: Outbox, worker: str) -> None:
    async with asyncio.timeout(10):
        while await outbox.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity JOIN delivery_workers ON pid = session_pid WHERE worker = $1",
            worker,
        ):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Pool]:
    async with await store.create_pool(url) as pool:
        yield pool


@pytest.fixture
async def living(database_url: str) -> AsyncIterator[Pool]:
    """Its session is older than any other's beat."""
    async with opened(database_url) as pool:
        await pool.fetchval("SELECT 1")
        yield pool


async def test_shards_of_a_worker_whose_session_ended_are_taken_at_once(
    outbox: Outbox, living: Pool, database_url: str
) -> None:
    async with opened(database_url) as dying:
        assert len((await beat(dying, "dying")).taken) == 32
        assert (await beat(living, "living")).others == 1
    await session_ended(outbox, "dying")
    await let_silence_pass(outbox, "dying")
    found = await beat(living, "living")
    assert (found.dead, len(found.taken), found.others) == (["dying"], 32, 0)
    found = await beat(living, "living")
    assert (found.dead, len(found.kept)) == ([], 32), "it is said once"


async def test_each_of_the_others_takes_its_share_of_a_dead_workers_shards(
    outbox: Outbox, living: Pool, database_url: str
) -> None:
    async with opened(database_url) as dying:
        await beat(dying, "dying")
        await beat(living, "one")
        await beat(living, "two")
    await session_ended(outbox, "dying")
    await let_silence_pass(outbox, "dying")
    assert [len((await beat(living, worker)).taken) for worker in ("one", "two")] == [16, 16]


async def test_a_silent_worker_whose_session_is_there_keeps_its_shards(
    outbox: Outbox, living: Pool, database_url: str
) -> None:
    async with opened(database_url) as stopped:
        await beat(stopped, "stopped")
        await beat(living, "living")
        await let_silence_pass(outbox, "stopped")
        found = await beat(living, "living")
        assert (found.dead, found.taken) == ([], {})


async def test_a_worker_that_lost_its_session_a_moment_ago_keeps_its_shards(
    outbox: Outbox, living: Pool, database_url: str
) -> None:
    async with opened(database_url) as cut:
        await beat(cut, "cut")
        await beat(living, "living")
    await session_ended(outbox, "cut")
    just_now = "UPDATE delivery_workers SET beat_at = now() + interval '1 minute' WHERE worker = 'cut'"
    await outbox.pool.execute(just_now)
    found = await beat(living, "living")
    assert (found.dead, found.taken) == ([], {})


async def test_a_poolers_session_says_nothing(outbox: Outbox, living: Pool, database_url: str) -> None:
    async with opened(database_url) as pooled:
        await beat(pooled, "pooled")
        await beat(living, "living")
    await outbox.pool.execute("UPDATE delivery_workers SET session_pid = NULL WHERE worker = 'pooled'")
    await let_silence_pass(outbox, "pooled")
    found = await beat(living, "living")
    assert (found.dead, found.taken) == ([], {})


async def test_a_crash_of_postgres_makes_nobody_dead(outbox: Outbox, database_url: str) -> None:
    """All sessions ended: the first to come back waits for the others."""
    async with opened(database_url) as first, opened(database_url) as second:
        await beat(first, "first")
        await beat(second, "second")
        await outbox.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN delivery_workers ON pid = session_pid"
        )
        await session_ended(outbox, "first")
        await session_ended(outbox, "second")
        await let_silence_pass(outbox, "first")
        found = await beat(second, "second")
        assert (found.dead, found.taken) == ([], {})
        assert len((await beat(first, "first")).kept) == 32
        assert (await beat(second, "second")).dead == []


async def test_a_crash_of_postgres_makes_nobody_dead_who_comes_back_late(outbox: Outbox, database_url: str) -> None:
    """A loop that failed pauses for up to five seconds, however soon its neighbour beats again."""
    async with opened(database_url) as first, opened(database_url) as second:
        await beat(first, "first")
        await beat(second, "second")
        await outbox.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN delivery_workers ON pid = session_pid"
        )
        await session_ended(outbox, "first")
        await session_ended(outbox, "second")
        await beat(second, "second")
        await let_silence_pass(outbox, "first")
        found = await beat(second, "second")
        assert (found.dead, found.taken) == ([], {})
        assert len((await beat(first, "first")).kept) == 32
