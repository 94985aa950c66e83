"""A gateway whose descriptors are taken, by streams or by connections that say nothing, still tells how it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.conftest import _new_database
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.web.calling.client import CallFailed, JsonClient

FILES, CONNECTIONS = 256, 300


class Few(ServiceProcess):
    """One that may open so many files."""

    def start(self) -> None:
        limited = ["sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh"]
        self.process.spawn([*limited, sys.executable, "-m", self.module, self.name], env=self.env)
        self.process.wait_ready(self._lives)


@pytest.fixture(scope="module")
def few(
    postgres_server: EmbeddedPostgres, shared_redis_url: str, server_directory: Path
) -> Iterator[ServiceProcess]:
    for url in _new_database(postgres_server, "template_uniassist"):
        process = Few("gateway", server_directory / "few.log", {"DATABASE_URL": url, "REDIS_URL": shared_redis_url})
        process.start()
        yield process
        process.stop()


@asynccontextmanager
async def connections(port: int, request: bytes) -> AsyncIterator[list[bytes]]:
    """So many connections that each send this, and what each was answered by then, the first line."""
    writers: list[asyncio.StreamWriter] = []

    async def answered() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(request)
        async with asyncio.timeout(20):
            return await reader.readline() if request else b""

    try:
        yield [await answered() for _ in range(CONNECTIONS)]
    finally:
        for writer in writers:
            writer.close()


async def test_health_is_told_while_streams_take_all_else(few: ServiceProcess, http: JsonClient) -> None:
    gateway = GatewayClient(http, few.url)
    asked = b"GET /v0/stream?sessionId=s HTTP/1.1\r\nhost: x\r\n\r\n"
    async with connections(few.port, asked) as answers:
        got = {line.split(b" ")[1]: answers.count(line) for line in set(answers) if line.startswith(b"HTTP/1.1 ")}
        assert set(got) == {b"200", b"503"}, answers
        assert got[b"200"] >= FILES // 2
        assert sum(got.values()) == CONNECTIONS
        for path in ("/health", "/health/live", "/metrics"):
            async with JsonClient() as another:
                for _ in range(5):
                    assert (await another.request("GET", f"{few.url}{path}", timeout_seconds=10)).status == 200
        async with JsonClient() as another:
            refused = await another.request("GET", f"{few.url}/v0/timeline?sessionId=s", timeout_seconds=10)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    await eventually(lambda: _takes(gateway), "it serves again, once they are gone")


async def test_who_connects_and_says_nothing_goes_for_who_asks(few: ServiceProcess, http: JsonClient) -> None:
    async with connections(few.port, b""):
        async with JsonClient() as another:
            for _ in range(5):
                assert (await another.request("GET", f"{few.url}/health", timeout_seconds=10)).status == 200
        await eventually(lambda: _takes(GatewayClient(http, few.url)), "inputs are taken beside them", 20)


async def _takes(gateway: GatewayClient) -> bool:
    try:
        return (await gateway.post("/v0/ingest", message())).status == 200
    except CallFailed:
        return False
