"""Whatever is wrong with Redis is one of a handful of errors, told apart by code or class, with words for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.server_faults import REDIS, REDIS_WRITING, silent_port
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import AccessRefused, Away, Outage, ReadOnly, Rejected, ServerFault, SettingsError
from uniassist.streams import epoch as epochs
from uniassist.streams import outage, wake
from uniassist.streams.client import connect, create_client
from uniassist.streams.group import Group
from uniassist.streams.outage import CommandRejected, NoGroup


@pytest.mark.parametrize("fault", REDIS)
async def test_who_cannot_use_it_is_told_why(faulty_redis: Callable[[str], str], fault: str) -> None:
    """By a command as by a pipeline."""
    async with connect(faulty_redis(fault)) as redis:
        with pytest.raises(ServerFault) as alone:
            await redis.ping()
        with pytest.raises(ServerFault) as piped:
            await epochs.read(redis, "any")
    assert alone.value.words == piped.value.words == REDIS[fault]
    assert "let-me-in" not in str(alone.value)


@pytest.mark.parametrize("fault", sorted(REDIS.keys() - {"loading"}))  # it subscribes us all the same
async def test_who_cannot_subscribe_is_told_why(faulty_redis: Callable[[str], str], fault: str) -> None:
    async with connect(faulty_redis(fault)) as redis:
        listener = wake.Listener(redis, "any:", lambda _hint: None)
        with pytest.raises(ServerFault) as caught:
            await listener.listen_once()
        await listener.close()
    assert caught.value.words == REDIS[fault]


@pytest.mark.parametrize("fault", REDIS_WRITING)
async def test_a_server_that_takes_no_writes_says_so_of_each_way_to_write(
    faulty_redis: Callable[[str], str], fault: str
) -> None:
    async with connect(faulty_redis(fault)) as redis:
        assert await redis.ping()
        with pytest.raises(Outage) as alone:
            await redis.set("a", "b")
        pipeline = redis.pipeline(transaction=False)
        pipeline.set("a", "b")
        with pytest.raises(Outage) as piped:
            await pipeline.execute()
        script = redis.register_script("return redis.call('SET', KEYS[1], 'b')")
        with pytest.raises(Outage) as scripted:
            await script(keys=["a"])
    assert {caught.value.words for caught in (alone, piped, scripted)} == {REDIS_WRITING[fault]}


async def test_a_replica_that_lost_its_primary_is_read_only(faulty_redis: Callable[[str], str]) -> None:
    async with connect(faulty_redis("replica")) as redis:
        await redis.config_set("replica-serve-stale-data", "no")
        with pytest.raises(ReadOnly) as caught:
            await redis.get("a")
    assert caught.value.words == "redis: read-only (a replica that has lost its primary)"


async def test_a_server_that_says_nothing_is_away_in_time() -> None:
    with silent_port() as port:
        async with connect(f"redis://127.0.0.1:{port}/0", answer_seconds=0.3) as redis:
            with pytest.raises(Away) as caught:
                await redis.ping()
    assert caught.value.words == "redis: away (no answer in time)"


async def test_a_wrong_command_is_rejected_and_a_missing_group_is_told_apart(
    redis_url: str,
) -> None:
    async with connect(redis_url) as redis:
        await redis.set("text", "x")
        with pytest.raises(Rejected, match="WRONGTYPE"):
            await redis.xadd("text", {"a": "b"})
        with pytest.raises(CommandRejected, match="unknown command"):
            await redis.execute_command("NONESUCH")
        await redis.xadd("stream", {"a": "b"})
        group = Group(redis, key="stream", name="g", consumer="c")
        with pytest.raises(NoGroup):
            await group.read_new(count=1, block_ms=1)
        assert [await group.ensure(), await group.ensure()] == [True, False]


async def test_a_server_that_stops_and_starts_is_away_meanwhile(own_redis: EmbeddedRedis) -> None:
    async with connect(own_redis.url) as redis:
        assert await redis.ping()
        await asyncio.to_thread(own_redis.stop)
        for _ in range(3):
            with pytest.raises(Away):
                await redis.ping()
        await asyncio.to_thread(own_redis.start)

        async def answers() -> bool:
            try:
                return bool(await redis.ping())
            except Away:
                return False

        await eventually(answers, "it is back")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0?no_such_parameter=1", "redis://127.0.0.1:1/0?db=one"])
def test_a_url_that_asks_for_what_nobody_knows_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: "):
        create_client(url)
    with pytest.raises(AccessRefused, match=r"^redis: refused \(the URL\)"):
        connect(url)


@pytest.mark.parametrize(
    ("said", "is_outage"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", True),
        ("-MISCONF Redis is configured to save RDB snapshots", True),
        ("ERR ACL failure in script: User x has no permissions to run the 'xadd' command", True),
        ("ERR The user executing the script can't run this command or subcommand", True),
        ("ERR it says ACL failure in script: further on", False),
        ("CROSSSLOT Keys in request don't hash to the same slot", True),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
        ("ERR the word OOM further on", False),
        ("", False),
    ],
)
def test_the_first_word_of_an_error_is_its_code(said: str, is_outage: bool) -> None:
    assert outage.is_outage_code(said) == is_outage
