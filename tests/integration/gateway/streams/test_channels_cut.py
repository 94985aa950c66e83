"""A connection of channels that is cut while its silence runs out, and one that can't be had."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest
from tests.ports import free_port
from tests.waiting import eventually

from uniassist.errors import Cut, ServerFault
from uniassist.streams import channels
from uniassist.streams.channels import Channels
from uniassist.streams.client import connect


async def test_a_connection_that_was_cut_in_the_last_moment_of_silence_is_not_made_anew_without_channels(
    redis_url: str,
) -> None:
    """The driver would connect again to send its PING: that connection answers, and hears of nothing."""
    followed = asyncio.Event()
    async with connect(redis_url) as redis:
        heard = Channels(redis, "p:", on_message=lambda *_: None, on_followed=lambda _: followed.set())
        heard.follow("s")
        while not followed.is_set():  # ends: the next answer is that it is followed
            await heard.listen_once()
        sign_of_life = heard.heard_at
        listening = asyncio.create_task(heard.listen_once())
        await eventually(lambda: heard.heard_at > sign_of_life, "the answer to its first PING is heard")
        [connection] = redis.connection_pool._in_use_connections
        time.sleep(channels.PING_SECONDS + 0.1)  # the loop is held until the second is over
        await connection.disconnect(nowait=True)
        with pytest.raises(Cut):
            await listening
        await heard.listen_once()
        assert await redis.pubsub_channels("p:*") == [b"p:s"]
        await heard.close()


async def test_readers_that_come_and_go_while_redis_is_away_leave_nothing() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}") as redis:
        heard = Channels(redis, "p:", on_message=lambda *_: None, on_followed=lambda _: None)
        with pytest.raises(ServerFault):
            await heard.listen_once()
        tracemalloc.start()
        try:
            for number in range(10_000):
                name = f"{number:0>1000}"
                heard.follow(name)
                heard.leave(name)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 1_000_000
