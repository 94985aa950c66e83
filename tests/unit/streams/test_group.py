"""The consumer group on real servers: what is read again, what is claimed, what is trimmed, what never is."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from redis.asyncio import Redis

from uniassist.streams.group import Group, StreamGone
from uniassist.streams.outage import NoGroup

KEY = "t:all"


def group(redis: Redis, consumer: str = "one", name: str = "g") -> Group:
    return Group(redis, key=KEY, name=name, consumer=consumer)


async def fill(redis: Redis, count: int, first: int = 1) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for n in range(first, first + count):
            pipeline.xadd(KEY, {"eventId": f"e{n}", "payload": "{}"}, id=f"{n}-0")
        await pipeline.execute()


async def read_all(reader: Group) -> list[bytes]:
    found = await reader.read_new(count=10_000, block_ms=1)
    return [entry.entry_id for entry in found]


async def first_number(redis: Redis) -> int:
    entries = cast("list[tuple[bytes, object]]", await redis.xrange(KEY, count=1))
    return int(entries[0][0].partition(b"-")[0])


async def test_a_group_is_created_once_and_reads_from_the_beginning(redis: Redis) -> None:
    await fill(redis, 3)
    assert await group(redis).ensure()
    assert not await group(redis).ensure()
    found = await group(redis).read_new(count=10, block_ms=1)
    assert [entry.event_id for entry in found] == ["e1", "e2", "e3"]
    assert await group(redis).read_new(count=10, block_ms=1) == []


async def test_a_missing_stream_is_not_made_with_the_group(redis: Redis) -> None:
    """Only an epoch's beginning makes it: made here, it would hide that what was on it is gone."""
    with pytest.raises(StreamGone):
        await group(redis).ensure()
    assert await redis.exists(KEY) == 0


async def test_reading_without_a_group_says_so(redis: Redis) -> None:
    with pytest.raises(NoGroup):
        await group(redis).read_new(count=10, block_ms=1)


async def test_what_was_not_acknowledged_is_read_again_under_the_same_name(redis: Redis) -> None:
    await fill(redis, 5)
    await group(redis).ensure()
    found = await group(redis).read_new(count=10, block_ms=1)
    await group(redis).acknowledge([found[0].entry_id, found[2].entry_id])
    own = await group(redis).read_own_pending(after=b"0-0", count=2)
    assert [entry.event_id for entry in own] == ["e2", "e4"]
    rest = await group(redis).read_own_pending(after=own[-1].entry_id, count=2)
    assert [entry.event_id for entry in rest] == ["e5"]
    assert await group(redis, "two").read_own_pending(after=b"0-0", count=2) == []


async def test_entries_without_an_event_id_of_ours_are_read_as_such(redis: Redis) -> None:
    await redis.xadd(KEY, {"something": "else"}, id="1-0")
    await redis.xadd(KEY, {"eventId": b"\xff\xfe"}, id="2-0")
    await redis.xadd(KEY, {"eventId": ""}, id="3-0")
    await group(redis).ensure()
    found = await group(redis).read_new(count=10, block_ms=1)
    assert [entry.event_id for entry in found] == [None, None, None]


async def test_what_a_dead_consumer_left_is_claimed_and_then_own(redis: Redis) -> None:
    await fill(redis, 250)
    await group(redis).ensure()
    await read_all(group(redis, "dead"))
    alive = group(redis, "alive")
    assert await alive.claim_idle(idle_ms=60_000, count=100, limit=1000) == 0
    await asyncio.sleep(0.01)  # idle is counted in milliseconds
    assert await alive.claim_idle(idle_ms=1, count=100, limit=1000) == 250
    assert len(await alive.read_own_pending(after=b"0-0", count=1000)) == 250


async def test_pending_entries_that_were_deleted_are_found_and_can_be_acknowledged(redis: Redis) -> None:
    await fill(redis, 4)
    await group(redis).ensure()
    await read_all(group(redis, "dead"))
    await redis.xdel(KEY, "2-0", "3-0")
    alive = group(redis, "alive")
    await asyncio.sleep(0.01)
    await alive.claim_idle(idle_ms=1, count=100, limit=1000)
    own = await alive.read_own_pending(after=b"0-0", count=1000)
    await alive.acknowledge([entry.entry_id for entry in own])
    assert (await redis.xpending(KEY, "g"))["pending"] == 0
    assert [entry.event_id for entry in own if entry.event_id] == ["e1", "e4"]


async def test_whether_all_is_read(redis: Redis) -> None:
    assert not await group(redis).has_read_all()
    await fill(redis, 2)
    await group(redis).ensure()
    assert not await group(redis).has_read_all()
    found = await group(redis).read_new(count=10, block_ms=1)
    assert not await group(redis).has_read_all()
    await group(redis).acknowledge([entry.entry_id for entry in found])
    assert await group(redis).has_read_all()


async def test_only_consumers_that_hold_nothing_are_forgotten(redis: Redis) -> None:
    await fill(redis, 2)
    await group(redis).ensure()
    done = group(redis, "done")
    await done.acknowledge([entry.entry_id for entry in await done.read_new(count=1, block_ms=1)])
    await group(redis, "holding").read_new(count=1, block_ms=1)
    await asyncio.sleep(0.01)
    assert await group(redis).remove_idle_consumers(idle_ms=1) == 1
    [left] = await redis.xinfo_consumers(KEY, "g")
    assert left["name"] == b"holding"
