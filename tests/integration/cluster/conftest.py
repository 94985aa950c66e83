"""A real Cluster, a worker on it, and what a reader of others finds on its streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from redis.exceptions import ResponseError
from tests.integration.delivery.outbox_rows import GLOBAL, PREFIX, Outbox
from tests.processes import ServiceProcess
from tests.redis_cluster import Cluster, cluster_in
from tests.waiting import eventually

from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Layout

LANES = 4
OTHERS = "others"


@pytest.fixture
async def cluster(server_directory: Path) -> AsyncIterator[Cluster]:
    """Three primaries."""
    with cluster_in(server_directory) as found:
        await found.start()
        yield found


@pytest.fixture
async def replicated(server_directory: Path) -> AsyncIterator[Cluster]:
    """Three primaries with a replica each."""
    with cluster_in(server_directory, replicas=True) as found:
        await found.start()
        yield found


@pytest.fixture
def start_on(service: Callable[..., ServiceProcess], database_url: str) -> Callable[..., ServiceProcess]:
    def start(name: str, cluster: Cluster, lanes: int = LANES, **env: str) -> ServiceProcess:
        return service(name, DATABASE_URL=database_url, REDIS_URL=cluster.url(lanes=lanes), **env)

    return start


class Streams:
    """Of all lanes, as somebody else reads them who knows REDIS_URL."""

    def __init__(self, cluster: Cluster, lanes: int = LANES) -> None:
        self.layout = Layout(PREFIX, GLOBAL, lanes)
        self.clients = LaneClients(cluster.url(lanes=lanes), self.layout)
        self._seen: list[tuple[str, str, int]] = []

    async def join(self) -> None:
        """A group of others on every lane's global stream, from its beginning."""
        for lane, redis in self.clients:

            async def joined(redis: Any = redis, key: str = lane.global_key) -> bool:
                with suppress(ResponseError):
                    await redis.xgroup_create(key, OTHERS, id="0")
                    return True
                return False

            await eventually(joined, f"{lane.global_key} is there")

    async def read(self) -> list[tuple[str, str, int]]:
        """(event id, session, seq) of each event, once, in the order in which its first entry came."""
        for lane, redis in self.clients:
            while found := cast(Any, await redis.xreadgroup(OTHERS, "one", {lane.global_key: ">"}, count=500)):
                for _, entries in found:
                    for _, fields in entries:
                        event = fields[b"eventId"].decode(), fields[b"sessionId"].decode(), int(fields[b"seq"])
                        self._seen.append(event)
        return list(dict.fromkeys(self._seen))

    async def session(self, session_id: str) -> list[int]:
        """Seqs of its stream."""
        lane, redis = self.clients.of_session(session_id)
        found = cast(Any, await redis.xrange(lane.session_key(session_id)))
        return [int(entry.split(b"-")[0]) for entry, _ in found]


@asynccontextmanager
async def streams_of(cluster: Cluster) -> AsyncIterator[Streams]:
    streams = Streams(cluster)
    try:
        yield streams
    finally:
        await streams.clients.aclose()


class Load:
    """Turns of three events in 24 sessions, one after the other, until told to stop."""

    SESSIONS = 24

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._stopped = asyncio.Event()
        self.turns = 0
        self.written: dict[str, int] = {}

    async def write(self) -> None:
        while not self._stopped.is_set():
            session_id = f"s{self.turns % self.SESSIONS}"
            await self._outbox.write_turn(session_id, 3)
            self.written[session_id] = self.written.get(session_id, 0) + 3
            self.turns += 1

    async def more(self, turns: int) -> None:
        """Until so many more have been written."""
        wanted = self.turns + turns
        await eventually(lambda: self.turns >= wanted, f"{turns} more turns", 30)

    async def consumed(self, events: int) -> None:
        async def are() -> bool:
            return (await self._outbox.states())["consumed"] >= events

        await eventually(are, f"{events} events are consumed", 30)

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[None]:
        writing = asyncio.create_task(self.write())
        try:
            yield
        finally:
            self._stopped.set()
            await writing


def in_order(events: list[tuple[str, str, int]]) -> dict[str, list[int]]:
    """Seqs by session, as they came."""
    found: dict[str, list[int]] = {}
    for _, session_id, seq in events:
        found.setdefault(session_id, []).append(seq)
    return found
