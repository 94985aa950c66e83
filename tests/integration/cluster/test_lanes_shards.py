"""Shards and lanes: the shard of a session is the one that Postgres finds; a lane's workers share its shards."""

from __future__ import annotations

import random

import asyncpg

from uniassist.delivery.shard_leases import fair_surplus
from uniassist.store import delivery as store
from uniassist.store.delivery import Heartbeat
from uniassist.store.server.pool import Pool
from uniassist.streams.lanes import Lane, Layout, shard_of

LETTERS = "abc-_/0123456789:{} éß中文🙂"


async def test_a_shard_is_the_one_that_postgres_finds(database_url: str) -> None:
    chosen = random.Random(7)
    ids = ["".join(chosen.choices(LETTERS, k=length)) for length in range(120) for _ in range(5)]
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT id, hashtext(id) & 31 AS shard FROM unnest($1::text[]) AS t (id)", ids
        )
    finally:
        await connection.close()
    assert {row["id"]: row["shard"] for row in rows} == {each: shard_of(each) for each in ids}


async def test_workers_of_a_lane_share_its_shards_whoever_else_is_there(database_url: str) -> None:
    first, second = Layout("p:", "p:all", 4).lanes[:2]

    async def beat(pool: Pool, worker: str, lane: Lane) -> Heartbeat:
        return await store.heartbeat(
            pool,
            f"{worker}{lane.mark}",
            lease_seconds=60,
            epoch=None,
            take=True,
            per_second=0.0,
            among=lane.shards,
            mark=lane.mark,
        )

    pool = await store.create_pool(database_url, lanes=4)
    try:
        await beat(pool, "other", second)
        alone = await beat(pool, "a", first)
        assert (sorted(alone.taken), alone.others) == (list(first.shards), 0)
        await beat(pool, "b", first)
        beside = await beat(pool, "a", first)
        assert beside.others == 1
        surplus = fair_surplus(sorted(beside.kept), len(first.shards), others=beside.others)
        assert surplus == list(first.shards)[4:]
        await store.leave(pool, f"a{first.mark}", surplus)
        given = await beat(pool, "b", first)
        assert sorted(given.taken) == surplus
        # A worker without lanes counts them all, and takes what is left.
        plain = await store.heartbeat(pool, "plain", lease_seconds=60, epoch=None, take=True, per_second=0.0)
        assert (plain.others, len(plain.taken)) == (3, 8)
    finally:
        await pool.close()


async def test_the_last_epoch_is_the_lanes_own(database_url: str) -> None:
    first, second = Layout("p:", "p:all", 2).lanes
    pool = await store.create_pool(database_url)
    try:
        await pool.execute("UPDATE delivery_shards SET epoch = '00000007.a' WHERE shard % 2 = 0")
        await pool.execute("UPDATE delivery_shards SET epoch = '00000003.b' WHERE shard % 2 = 1")
        assert await store.last_epoch(pool, first.shards) == "00000007.a"
        assert await store.last_epoch(pool, second.shards) == "00000003.b"
        assert await store.last_epoch(pool) == "00000007.a"
    finally:
        await pool.close()
