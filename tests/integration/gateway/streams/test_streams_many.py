"""Readers that don't read, and more readers than Postgres could be asked for one by one."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest
from tests.integration.gateway.client import GatewayClient, decoded, message, unique
from tests.integration.gateway.sse import follow
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.gateway import event_streams
from uniassist.web.calling.client import JsonClient

Start = Callable[..., ServiceProcess]
Connect = Callable[[ServiceProcess], GatewayClient]
STREAMS = 4000


@pytest.fixture
async def impatient(
    tmp_path: Path, database_url: str, redis_url: str, http: JsonClient
) -> AsyncIterator[GatewayClient]:
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    process = ServiceProcess("gateway", tmp_path / "gateway.log", env, module="tests.integration.gateway.impatient")
    process.start()
    yield GatewayClient(http, process.url)
    process.stop()


async def open_streams(gateway: GatewayClient) -> float:
    scraped = (await gateway.get("/metrics")).body.decode()
    return float(scraped.split("\nuniassist_sse_connections ")[1].split("\n")[0])


def unread_stream(gateway: GatewayClient, session_id: str) -> socket.socket:
    """A stream that was asked for, and of which nothing is ever read."""
    asking = socket.socket()
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    asking.connect((host, int(port)))
    asking.sendall(f"GET /v0/stream?sessionId={session_id} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return asking


async def test_a_reader_that_never_reads_is_closed_and_one_that_reads_is_not(impatient: GatewayClient) -> None:
    session_id, text = unique("unread"), "长" * 100_000
    with closing(unread_stream(impatient, session_id)) as unread:
        async with follow(impatient.url, session_id) as reading:

            async def both_open() -> bool:
                return await open_streams(impatient) == 2

            async def one_open() -> bool:
                return await open_streams(impatient) == 1

            await eventually(both_open, "both are open")
            for _ in range(20):
                await impatient.ingest(message(text, sessionId=session_id))
            await reading.until(lambda f: len(f.events) >= 80, "the other one got everything")
            await eventually(one_open, "the unread one is closed")
            await impatient.ingest(message("再见", sessionId=session_id))
            await reading.until(lambda f: len(f.events) >= 84, "the other one goes on")
        assert reading.seqs == list(range(1, 85))
        unread.settimeout(10)
        got = b""
        while chunk := unread.recv(2**20):  # what the kernel had taken, and then the end
            got = chunk
        assert not got.endswith(b"0\r\n\r\n"), "the stream ended in good order, so the rest was waited for"


@asynccontextmanager
async def _many_quiet_streams(url: str, count: int) -> AsyncIterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 2 * count), hard), hard))
    host, _, port = url.removeprefix("http://").partition(":")
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        for number in range(count):
            reader, writer = await asyncio.open_connection(host, int(port))
            streams.append((reader, writer))
            writer.write(f"GET /v0/stream?sessionId=quiet-{number} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            await reader.readuntil(b": connected")
        yield
    finally:
        for _, writer in streams:
            writer.close()


@pytest.mark.slow
async def test_redis_away_and_back_with_many_streams_leaves_ingest_and_health_alone(
    service: Start, connect: Connect, database_url: str, own_redis: EmbeddedRedis
) -> None:
    client = connect(service("gateway", DATABASE_URL=database_url, REDIS_URL=own_redis.url))
    session_id, slowest = unique("busy"), 0.0

    async def redis_is(state: str) -> bool:
        """Asks for health, and writes; both must be right at each look, whatever Redis does."""
        nonlocal slowest
        began = time.monotonic()
        await client.ingest(message("你好", sessionId=session_id))
        slowest = max(slowest, time.monotonic() - began)
        answer = await client.get("/health")
        assert answer.status == 200, answer.body
        return bool(decoded(answer)["checks"]["redis"] == state)

    async def still(state: str, until: float) -> bool:
        return await redis_is(state) and time.monotonic() >= until

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_many_quiet_streams(client.url, STREAMS))
        follower = await stack.enter_async_context(follow(client.url, session_id))
        for change, state in ((own_redis.stop, "away (connection refused)"), (own_redis.start, "ok")):
            change()
            await eventually(lambda s=state: redis_is(s), f"Redis is {state}", 15)  # type: ignore[misc]
            until = time.monotonic() + 5 * event_streams.POLL_SECONDS
            await eventually(lambda s=state, u=until: still(s, u), "five looks long")  # type: ignore[misc]
        sent = 4 * decoded(await client.get("/v0/metrics"))["metrics"]["ingest"]["total"]
        await follower.until(lambda f: len(f.events) == sent, "its stream has it all", within_seconds=3)
    assert slowest < 5.0
    assert follower.seqs == list(range(1, sent + 1))
