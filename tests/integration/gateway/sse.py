"""A reader of server-sent events over HTTP, as strict as a browser's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from tests.integration.gateway.client import Json
from tests.waiting import eventually

from uniassist.contracts import codec


@dataclass
class Follower:
    """What came so far. `ended` once the server closed the stream in good order."""

    events: list[Json] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.events]

    def take(self, frame: str) -> None:
        fields: dict[str, str] = {}
        for line in frame.split("\n"):
            name, _, value = line.partition(":")
            if not name:
                self.comments.append(value.strip())
            else:
                assert name not in fields, f"{name} twice in one frame"
                fields[name] = value.removeprefix(" ")
        if fields:
            # no `event:`: only then does a browser's onmessage fire
            assert set(fields) == {"id", "data"}, fields
            envelope = codec.decode(fields["data"].encode(), Json)
            assert (envelope["schemaVersion"], envelope["type"]) == ("v0", "timeline_event")
            assert fields["id"] == str(envelope["event"]["seq"])
            self.events.append(envelope["event"])

    async def until(self, condition: Callable[[Follower], bool], what: str, within_seconds: float = 15.0) -> None:
        await eventually(lambda: condition(self), f"{what}; seqs {self.seqs}", within_seconds, pause_seconds=0.01)


@asynccontextmanager
async def follow(
    url: str, session_id: str, *, cursor: int | None = None, last_event_id: int | None = None
) -> AsyncIterator[Follower]:
    """Follows /v0/stream until the block ends; the stream is open when it begins."""
    query = {"sessionId": session_id} | ({} if cursor is None else {"cursor": str(cursor)})
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    follower = Follower()
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
        session.get(f"{url}/v0/stream", params=query, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        reading = asyncio.create_task(_read(response, follower))
        try:
            await follower.until(lambda f: bool(f.comments), "the stream is open")
            yield follower
            if reading.done() and not reading.cancelled():
                reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(response: aiohttp.ClientResponse, follower: Follower) -> None:
    buffered = b""
    async for chunk in response.content.iter_any():
        *frames, buffered = (buffered + chunk).split(b"\n\n")
        for frame in frames:
            follower.take(frame.decode("utf-8"))
    assert not buffered, "the stream ended inside a frame"
    follower.ended = True
