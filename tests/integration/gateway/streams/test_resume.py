"""Event streams through gateways that are killed and stopped in turn, with readers that drop and resume at random.

UNIASSIST_RESUME_CLIENTS=500 UNIASSIST_RESUME_RESTARTS=20 is the long form; its figures go to
UNIASSIST_RESUME_REPORT when that names a file.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.load import Load
from tests.integration.gateway.sse import Follower
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

CLIENTS = int(os.environ.get("UNIASSIST_RESUME_CLIENTS", "40"))
RESTARTS = int(os.environ.get("UNIASSIST_RESUME_RESTARTS", "3"))
SESSIONS, WRITERS = max(8, CLIENTS // 10), 8
STAY_SECONDS = 3.0  # the longest that a reader stays before it drops its connection


@dataclass
class Reader:
    """Follows one session through either gateway, as far as it has got, until it is told to stop."""

    session_id: str
    seen: Follower = field(default_factory=Follower)
    connections: int = 0
    cut_off: int = 0  # connections that broke under it

    async def run(self, http: aiohttp.ClientSession, urls: list[str]) -> None:
        while True:  # ends: cancelled by the test
            try:
                async with asyncio.timeout(random.uniform(0.05, STAY_SECONDS)):
                    await self._follow(http, random.choice(urls))
            except TimeoutError:
                pass  # this reader's own whim
            except aiohttp.ClientError:
                self.cut_off += 1
                await asyncio.sleep(random.uniform(0.05, 0.3))

    async def _follow(self, http: aiohttp.ClientSession, url: str) -> None:
        last = self.seen.seqs[-1] if self.seen.events else 0
        query, headers = {"sessionId": self.session_id}, {"Last-Event-ID": str(last)}
        if random.random() < 0.5:
            query, headers = query | {"cursor": str(last)}, {}
        async with http.get(f"{url}/v0/stream", params=query, headers=headers) as response:
            assert response.status == 200, await response.text()
            self.connections += 1
            buffered = b""
            async for chunk in response.content.iter_any():
                # A frame that was cut off doesn't count: as in a browser, only its empty line makes it one.
                *frames, buffered = (buffered + chunk).split(b"\n\n")
                for frame in frames:
                    self.seen.take(frame.decode("utf-8"))


@pytest.mark.timeout(120 + RESTARTS * 30)
async def test_readers_that_drop_and_resume_miss_nothing_and_see_nothing_twice(
    service: Callable[..., ServiceProcess], database_url: str, redis_url: str
) -> None:
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "GATEWAY_RATE_LIMIT_PER_USER": "0"}
    processes = [service("gateway", **env) for _ in range(2)]
    urls = [process.url for process in processes]
    sessions = [unique("resumed") for _ in range(SESSIONS)]
    readers = [Reader(sessions[number % SESSIONS]) for number in range(CLIENTS)]
    began = time.monotonic()
    async with (
        JsonClient() as http,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=2**20) as streams,
    ):
        load = Load([GatewayClient(http, url) for url in urls], sessions, pause_seconds=0.05)
        writing = [asyncio.create_task(load.client(number)) for number in range(WRITERS)]
        reading = [asyncio.create_task(reader.run(streams, urls)) for reader in readers]
        for restart in range(RESTARTS):
            enough = len(load.acknowledged) + 40
            await eventually(lambda n=enough: len(load.acknowledged) >= n, "the load goes on", 60)  # type: ignore[misc]
            victim = processes[restart % 2]
            await asyncio.to_thread(victim.kill if restart % 3 else victim.stop)
            await asyncio.to_thread(victim.start)
        load.stopping.set()
        await asyncio.gather(*writing)
        ends = await lengths(database_url)
        await eventually(
            lambda: (
                all(task.done() for task in reading)
                or all(len(r.seen.events) >= ends[r.session_id] for r in readers)
            ),
            "everyone has everything",
            60,
        )
        for task in reading:
            task.cancel()
        for failed in await asyncio.gather(*reading, return_exceptions=True):
            assert isinstance(failed, asyncio.CancelledError), failed
    for reader in readers:
        assert reader.seen.seqs == list(range(1, ends[reader.session_id] + 1))
    report(load, readers, time.monotonic() - began)


async def lengths(database_url: str) -> dict[str, int]:
    """How many events each session has; the load is over, and no provider is connected that would add to it."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT session_id, count(*) AS events FROM timeline_events GROUP BY 1")
    finally:
        await connection.close()
    return {row["session_id"]: row["events"] for row in rows}


def report(load: Load, readers: list[Reader], seconds: float) -> None:
    path = os.environ.get("UNIASSIST_RESUME_REPORT")
    if path:
        Path(path).write_text(
            f"""# Event streams that drop and resume while gateways restart

{CLIENTS} readers over two gateways, no worker; each stays up to {STAY_SECONDS:g} s, then goes on by `Last-Event-ID`
or `cursor` at either gateway. {RESTARTS} restarts, two of three of them a SIGKILL, {seconds:.0f} s:
{len(load.acknowledged):,} inputs to {SESSIONS} sessions, {load.repeated:,} sent again;
{sum(reader.connections for reader in readers):,} streams opened,
{sum(reader.cut_off for reader in readers):,} broken off or refused,
{sum(len(reader.seen.events) for reader in readers):,} events received.
Every reader has every event of its session once, in order.

`UNIASSIST_RESUME_CLIENTS={CLIENTS} UNIASSIST_RESUME_RESTARTS={RESTARTS}
UNIASSIST_RESUME_REPORT=bench/results/sse-resume.md python -m pytest -n 0
tests/integration/gateway/streams/test_resume.py`
""",
            "utf-8",
        )
