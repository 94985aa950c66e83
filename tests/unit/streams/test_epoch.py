"""An epoch ends with the process, the data, its history and the global stream, and never comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis, Flavour
from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender, Entry, EpochChanged
from uniassist.streams.epoch import Epoch, StreamTaken

GLOBAL = "t:all"


async def begun(redis: Redis, known: str | None = None, database: str = "") -> Epoch:
    return await epochs.begin(redis, GLOBAL, group="g", known=known, database=database)


async def append(redis: Redis, epoch: Epoch) -> list[str]:
    appender = Appender(
        redis, global_key=GLOBAL, moved_prefix="moved:", session_length=1000, session_expiry_seconds=60
    )
    return await appender.append([Entry("t:s", "a", "s", b"{}")], epoch)


@pytest.fixture
async def other(tmp_path: Path, flavour: Flavour) -> AsyncIterator[Redis]:
    """A second server of the same kind, which may be the first one's replica, or its primary."""
    second = EmbeddedRedis(tmp_path / "other", flavour=flavour)
    second.start()
    client = Redis.from_url(second.url)
    yield client
    await client.aclose()
    second.process.kill()


async def follow(replica: Redis, primary: Redis) -> None:
    """`replica` has all that `primary` has."""
    port = primary.connection_pool.connection_kwargs["port"]
    await primary.config_set("repl-diskless-sync-delay", 0)
    await replica.replicaof("127.0.0.1", port)

    async def in_step() -> bool:
        found = await replica.info("replication")
        return bool(found["master_link_status"] == "up" and await primary.wait(1, 1000))

    await eventually(in_step, "the replica is in step")


async def promote(replica: Redis) -> None:
    await replica.replicaof("NO", "ONE")


def number(epoch: Epoch) -> int:
    return int(epoch.name.partition(".")[0])


async def test_an_epoch_goes_on_as_long_as_nothing_is_lost(redis: Redis) -> None:
    first = await begun(redis)
    assert await begun(redis) == first == await epochs.read(redis, GLOBAL)
    assert await begun(redis, known=first.name) == first


async def test_each_epoch_has_a_higher_number_also_after_all_data_is_lost(redis: Redis) -> None:
    first = await begun(redis)
    await redis.delete(GLOBAL)
    second = await begun(redis, known=first.name)
    await redis.flushall()
    third = await begun(redis, known=second.name)
    assert [number(epoch) for epoch in (first, second, third)] == [1, 2, 3]


async def test_a_primary_that_was_demoted_and_promoted_again_is_in_another_epoch(
    redis: Redis, other: Redis
) -> None:
    """Its run id is the one that it had, and so is the sentinel, which came back with the other's data."""
    epoch = await begun(redis)
    await follow(other, redis)
    await promote(other)
    await follow(redis, other)
    await promote(redis)
    assert await redis.get(epochs.sentinel_key(GLOBAL)) == epoch.sentinel.encode()
    assert await epochs.read(redis, GLOBAL) != epoch
    with pytest.raises(EpochChanged):
        await append(redis, epoch)
    after = await begun(redis, known=epoch.name)
    assert number(after) == number(epoch) + 1
    assert await append(redis, after) == ["published"]


async def test_a_promoted_replica_with_an_old_copy_of_the_sentinel_is_in_another_epoch(
    redis: Redis, other: Redis
) -> None:
    epoch = await begun(redis)
    await follow(other, redis)
    await promote(other)
    with pytest.raises(EpochChanged):
        await append(other, epoch)
    assert (await begun(other)).name != epoch.name


async def test_an_epoch_that_was_left_for_another_server_does_not_come_back(redis: Redis, other: Redis) -> None:
    """The address went to another server and back; the first one slept meanwhile and has lost nothing."""
    first = await begun(redis)
    second = await begun(other, known=first.name)
    back = await begun(redis, known=second.name)
    assert [number(epoch) for epoch in (first, second, back)] == [1, 2, 3]
    with pytest.raises(EpochChanged):
        await append(redis, first)


async def test_two_epochs_of_one_number_are_two(redis: Redis, other: Redis) -> None:
    """Begun at once on two servers that both took themselves for the primary."""
    here, there = await begun(redis), await begun(other)
    assert number(here) == number(there)
    assert here.name != there.name
    after = await begun(redis, known=there.name)
    assert after.name > there.name
    assert after.name >= here.name


async def test_the_sentinel_of_an_older_worker_is_replaced(redis: Redis) -> None:
    """It was random bytes in hexadecimal, and set only when there was none."""
    await begun(redis)
    await redis.set(epochs.sentinel_key(GLOBAL), "0123456789abcdef")
    assert number(await begun(redis)) == 1


async def test_an_epoch_is_one_databases_and_refuses_another_without_writing_anything(redis: Redis) -> None:
    mine = await begun(redis, database="a-1")
    assert mine.database == "a-1"
    with pytest.raises(StreamTaken, match="belongs to the database a-1, and the database b-2"):
        await begun(redis, known="00000099.x.b-2", database="b-2")
    assert await begun(redis, database="a-1") == mine


@pytest.mark.parametrize("loss", ["the stream", "the process"])
async def test_an_epoch_that_ended_is_still_its_databases_to_follow(redis: Redis, loss: str) -> None:
    await begun(redis, database="a-1")
    if loss == "the stream":
        await redis.delete(GLOBAL)
    else:
        await redis.set(epochs.sentinel_key(GLOBAL), "00000001.12345678.a-1:beef:beef")
    with pytest.raises(StreamTaken):
        await begun(redis, database="b-2")
    assert await epochs.owner(redis, GLOBAL) == "a-1"
    assert (await begun(redis, database="a-1")).name.startswith("00000002.")


async def test_deleting_the_sentinel_lets_another_database_take_the_stream(redis: Redis) -> None:
    await begun(redis, database="a-1")
    await redis.delete(epochs.sentinel_key(GLOBAL))
    assert (await begun(redis, database="b-2")).database == "b-2"


async def test_workers_that_know_of_no_databases_and_those_that_do_agree_after_one_epoch(redis: Redis) -> None:
    """A release that is rolled out: both kinds run side by side, and each may be the one to begin."""
    older = await begun(redis)
    newer = await begun(redis, database="a-1")
    assert (older.database, newer.database, number(newer)) == ("", "a-1", number(older) + 1)
    for known in (None, older.name, newer.name):
        assert await begun(redis, known=known) == newer
        assert await begun(redis, known=known, database="a-1") == newer


async def test_a_stranger_leaves_word_that_does_not_make_another_epoch(redis: Redis) -> None:
    mine = await begun(redis, database="a-1")
    await epochs.knock(redis, GLOBAL, stranger="b-2")
    found = await epochs.read(redis, GLOBAL)
    assert found == mine
    assert found is not None
    assert found.stranger == "b-2"
