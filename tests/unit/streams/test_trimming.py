"""What is trimmed off the global stream, what never is, and what groups of others may hold up."""

from __future__ import annotations

from typing import cast

import pytest
from redis.asyncio import Redis

from uniassist.streams.group import Group
from uniassist.streams.stream_groups import look
from uniassist.streams.trimming import HoldLimits, Trimmed, Trimming

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


async def trim(redis: Redis, max_age_seconds: int = 0, max_entries: int = 0) -> Trimmed:
    limits = HoldLimits(max_age_seconds, max_entries)
    return await Trimming(redis, KEY, group="g", ours=("adapter",), limits=limits).trim()


async def fill_now(redis: Redis, count: int) -> list[bytes]:
    async with redis.pipeline(transaction=False) as pipeline:
        for n in range(count):
            pipeline.xadd(KEY, {"eventId": f"e{n}", "payload": "{}"})
        return cast("list[bytes]", await pipeline.execute())


async def holding_one(redis: Redis, name: str) -> bytes:
    """The group has read everything and acknowledged all but the first, which is returned."""
    reader = group(redis, "reader", name)
    await reader.ensure()
    ids = await read_all(reader)
    await reader.acknowledge(ids[1:])
    return ids[0]


async def test_trimming_stops_at_the_lowest_pending_entry(redis: Redis) -> None:
    await fill(redis, 1000)
    await group(redis).ensure()
    ids = await read_all(group(redis))
    await group(redis).acknowledge([entry_id for entry_id in ids if entry_id != b"500-0"])
    assert (await trim(redis)).removed > 0
    assert await first_number(redis) <= 500
    await group(redis).acknowledge([b"500-0"])
    await trim(redis)
    assert await redis.xlen(KEY) <= 100, "a node at most is left"


async def test_trimming_waits_for_the_slowest_group(redis: Redis) -> None:
    await fill(redis, 1000)
    for name in ("g", "slow"):
        await group(redis, name=name).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    slow = group(redis, name="slow")
    await slow.acknowledge([entry.entry_id for entry in await slow.read_new(count=300, block_ms=1)])
    assert (await trim(redis)).removed <= 300
    unread = await read_all(slow)
    assert len(unread) == 700


async def test_trimming_waits_for_a_group_that_has_not_begun(redis: Redis) -> None:
    await fill(redis, 1000)
    for name in ("g", "new"):
        await group(redis, name=name).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    assert (await trim(redis)).removed == 0
    assert await redis.xlen(KEY) == 1000


async def test_a_group_idle_for_a_day_is_reported_and_holds_nothing_up(redis: Redis) -> None:
    await fill(redis, 1000)
    await group(redis).ensure()
    await redis.xgroup_create(KEY, "abandoned", id="1-0")  # its position is of 1970
    await group(redis).acknowledge(await read_all(group(redis)))
    assert (await look(redis, KEY)).holding is None
    trimmed = await trim(redis)
    assert trimmed.idle_groups == ["abandoned"]
    assert trimmed.removed >= 900


async def test_nothing_is_trimmed_while_the_group_is_missing(redis: Redis) -> None:
    await fill(redis, 1000)
    for name in ("g", "other"):
        await group(redis, name=name).ensure()
    await group(redis, name="other").acknowledge(await read_all(group(redis, name="other")))
    await redis.xgroup_destroy(KEY, "g")
    assert (await trim(redis)).removed == 0
    await group(redis).ensure()
    assert len(await read_all(group(redis))) == 1000


async def test_the_group_and_the_entry_that_hold_trimming_up_are_found(redis: Redis) -> None:
    await fill_now(redis, 300)
    await group(redis).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    held = await holding_one(redis, "other")
    found = await look(redis, KEY)
    assert found.entries == 300
    assert found.holding is not None
    assert (found.holding.name, found.holding.held_entry) == ("other", held.decode())
    assert 0 <= found.holding.held_seconds < 60
    ours = found.position_of("g")
    assert ours is not None
    assert (ours.held_entry, ours.held_seconds, ours.pending) == (None, 0.0, 0)
    assert [consumer.name for consumer in found.holding.consumers] == ["reader"]


@pytest.mark.parametrize("name", ["g", "adapter"])
async def test_no_limit_is_for_ours(redis: Redis, name: str) -> None:
    await fill(redis, 1000)  # entries of 1970
    await group(redis).ensure()
    if name == "adapter":
        await group(redis).acknowledge(await read_all(group(redis)))
    await holding_one(redis, name)
    trimmed = await trim(redis, max_age_seconds=60, max_entries=10)
    assert (trimmed.removed, trimmed.dropped) == (0, 0)
    assert await redis.xlen(KEY) == 1000


async def test_what_a_group_of_others_holds_for_longer_than_the_limit_is_dropped(redis: Redis) -> None:
    await fill(redis, 1000)  # entries of 1970
    await fill_now(redis, 5)
    await group(redis).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    other = group(redis, "reader", "other")
    await other.ensure()
    await other.read_new(count=1, block_ms=1)
    young = group(redis, "reader", "young")  # it needs those that stay
    await young.ensure()
    await young.acknowledge([entry.entry_id for entry in await young.read_new(count=1000, block_ms=1)])
    trimmed = await trim(redis, max_age_seconds=60)
    assert (trimmed.dropped, trimmed.dropped_for) == (1000, ["other"])
    assert await redis.xlen(KEY) == 5, "those are young"
    again = await trim(redis, max_age_seconds=60)
    assert (again.removed, again.dropped) == (0, 0), "it goes on waiting for what is there"


async def test_what_ours_still_need_is_not_too_old_to_keep(redis: Redis) -> None:
    await fill(redis, 1000)  # entries of 1970
    await group(redis).ensure()
    await group(redis).acknowledge([entry.entry_id for entry in await group(redis).read_new(count=500, block_ms=1)])
    await holding_one(redis, "other")
    assert (await trim(redis, max_age_seconds=60)).dropped == 500
    assert len(await read_all(group(redis))) == 500


async def test_above_the_length_what_only_groups_of_others_want_is_dropped_oldest_first(redis: Redis) -> None:
    ids = await fill_now(redis, 2000)
    await group(redis).ensure()
    read = [entry.entry_id for entry in await group(redis).read_new(count=1500, block_ms=1)]
    await group(redis).acknowledge(read)
    other = group(redis, "reader", "other")
    await other.ensure()
    await other.acknowledge([entry_id for entry_id in await read_all(other) if entry_id not in (ids[0], ids[1200])])
    trimmed = await trim(redis, max_entries=1000)
    assert trimmed.dropped_for == ["other"]
    assert 900 <= trimmed.dropped <= 1000, "whole nodes of a hundred"
    await trim(redis, max_entries=10)
    assert await read_all(group(redis)) == ids[1500:], "never what ours still need"


async def test_without_limits_a_group_of_others_holds_everything(redis: Redis) -> None:
    await fill(redis, 1000)
    await group(redis).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    await holding_one(redis, "other")
    assert (await trim(redis)).removed == 0
    assert await redis.xlen(KEY) == 1000


async def test_an_entry_that_is_gone_holds_nothing_up(redis: Redis) -> None:
    await fill_now(redis, 1000)
    await group(redis).ensure()
    await group(redis).acknowledge(await read_all(group(redis)))
    held = await holding_one(redis, "other")
    await redis.xdel(KEY, held)
    assert (await trim(redis)).removed >= 890
