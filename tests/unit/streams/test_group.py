"""The consumer group on real servers: what is read again, what is claimed, what is trimmed, what never is."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from uniassist.streams.group import Group, is_no_group

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


async def test_reading_without_a_group_says_so(redis: Redis) -> None:
    with pytest.raises(ResponseError) as caught:
        await group(redis).read_new(count=10, block_ms=1)
    assert is_no_group(caught.value)


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


async def test_trimming_stops_at_the_lowest_pending_entry(redis: Redis) -> None:
    await fill(redis, 1000)
    await group(redis).ensure()
    ids = await read_all(group(redis))
    await group(redis).acknowledge([entry_id for entry_id in ids if entry_id != b"500-0"])
    assert (await group(redis).trim()).removed > 0
    assert await first_number(redis) <= 500
    await group(redis).acknowledge([b"500-0"])
    await group(redis).trim()
    assert await redis.xlen(KEY) <= 100, "a node at most is left"


async def test_trimming_waits_for_the_slowest_group(redis: Redis) -> None:
    await fill(redis, 1000)
    for name in ("g", "slow"):
        await group(redis, name=name).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    slow = group(redis, name="slow")
    await slow.acknowledge([entry.entry_id for entry in await slow.read_new(count=300, block_ms=1)])
    assert (await group(redis).trim()).removed <= 300
    unread = await read_all(slow)
    assert len(unread) == 700


async def test_trimming_waits_for_a_group_that_has_not_begun(redis: Redis) -> None:
    await fill(redis, 1000)
    for name in ("g", "new"):
        await group(redis, name=name).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    assert (await group(redis).trim()).removed == 0
    assert await redis.xlen(KEY) == 1000


async def test_a_group_idle_for_a_day_is_reported_and_holds_nothing_up(redis: Redis) -> None:
    await fill(redis, 1000)
    await group(redis).ensure()
    await redis.xgroup_create(KEY, "abandoned", id="1-0")  # its position is of 1970
    await group(redis).acknowledge(await read_all(group(redis)))
    trimmed = await group(redis).trim()
    assert trimmed.idle_groups == ["abandoned"]
    assert trimmed.removed >= 900


async def test_nothing_is_trimmed_while_the_own_group_is_missing(redis: Redis) -> None:
    await fill(redis, 1000)
    for name in ("g", "other"):
        await group(redis, name=name).ensure()
    await group(redis, name="other").acknowledge(await read_all(group(redis, name="other")))
    await redis.xgroup_destroy(KEY, "g")
    assert (await group(redis).trim()).removed == 0
    await group(redis).ensure()
    assert len(await read_all(group(redis))) == 1000


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
