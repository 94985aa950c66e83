"""The fault of a server as a script of ours meets it: Redis 6.2 wraps it in an error of its own."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from redis.asyncio import Redis
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import Full, ReadOnly
from uniassist.streams.client import create_client
from uniassist.streams.outage import CommandRejected


async def test_a_script_that_meets_a_full_server_says_so(redis: Redis) -> None:
    script = redis.register_script("return redis.call('SET', KEYS[1], 'b')")
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(Full, match=r"^redis: full \(maxmemory\): "):
            await script(keys=["a"])
    finally:
        await redis.config_set("maxmemory", "0")


async def test_a_script_that_is_wrong_is_rejected(redis: Redis) -> None:
    await redis.set("text", "x")
    with pytest.raises(CommandRejected, match="WRONGTYPE"):
        await redis.register_script("return redis.call('XADD', KEYS[1], '*', 'a', 'b')")(keys=["text"])


async def test_a_wait_that_ends_with_the_servers_role_says_read_only_and_its_connection_is_not_kept(
    redis: Redis, server: EmbeddedRedis
) -> None:
    """A server that is demoted ends all blocking calls with the code that CLIENT UNBLOCK … ERROR gives as well."""
    asking = create_client(server.url, max_connections=1)
    try:
        first = await asking.client_id()
        waiting = asyncio.create_task(asking.execute_command("BLPOP", "nothing", 4))

        async def ended() -> bool:
            return bool(await redis.client_unblock(first, error=True))

        await eventually(ended, "the call was waiting")
        with pytest.raises(ReadOnly):
            await waiting
        assert await asking.client_id() != first
    finally:
        await asking.aclose()


def test_a_write_to_a_connection_that_the_server_closed_is_made_again_on_another(server: EmbeddedRedis) -> None:
    """uvloop, which the services run on, has an error of its own for it, and the driver doesn't know it."""

    async def ask_on_a_closed_connection() -> None:
        async with create_client(server.url, max_connections=1) as asking:
            await asking.ping()
            connection = await asking.connection_pool.get_connection()  # type: ignore[no-untyped-call]  # the driver
            transport = connection._writer.transport
            await asking.connection_pool.release(connection)

            async def close_after_the_look_at_it() -> None:
                transport.abort()

            connection.check_health = close_after_the_look_at_it
            assert await asking.ping()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask_on_a_closed_connection())
