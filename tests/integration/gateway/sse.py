"""A reader of server-sent events over HTTP, as strict as a browser's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp
from tests.integration.gateway.client import Json
from tests.waiting import eventually
from yarl import URL

from uniassist.contracts import codec


@dataclass
class Follower:
    """What came so far. `ended` once the server closed the stream in good order.

    `texts`: by run and message, of deltas; `begun`: each time that one began; `finished`: by their durable events.
    """

    events: list[Json] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    ended: bool = False
    deltas: list[Json] = field(default_factory=list)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    begun: list[tuple[str, str]] = field(default_factory=list)
    finished: dict[tuple[str, str], str] = field(default_factory=dict)

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
        if fields.get("event") == "delta":
            assert set(fields) == {"event", "data"}, fields  # no id: the reader's cursor doesn't move
            self._take_delta(codec.decode(fields["data"].encode(), Json))
        elif fields:
            # no `event:`: only then does a browser's onmessage fire
            assert set(fields) == {"id", "data"}, fields
            envelope = codec.decode(fields["data"].encode(), Json)
            assert (envelope["schemaVersion"], envelope["type"]) == ("v0", "timeline_event")
            assert fields["id"] == str(envelope["event"]["seq"])
            self.events.append(envelope["event"])
            self._note_finished(envelope["event"])

    def _note_finished(self, event: Json) -> None:
        said = event["payload"].get("event", {}) if event["kind"] == "interaction" else {}
        if "messageId" in said:
            self.finished[event["runId"], said["messageId"]] = said["text"]

    def _take_delta(self, delta: Json) -> None:
        """As a page would show it: what isn't the next piece of what it has is an error here."""
        assert (delta.pop("schemaVersion"), delta.pop("type")) == ("v0", "delta")
        assert set(delta) == {"sessionId", "runId", "messageId", "offset", "text"}, delta
        key = (delta["runId"], delta["messageId"])
        assert key not in self.finished, f"a delta after its event: {delta}"
        if delta["offset"] == 0:
            self.begun.append(key)
            self.texts[key] = ""
        assert delta["offset"] == len(self.texts.get(key, "")), f"a hole in {key}: {delta}"
        self.texts[key] = self.texts.get(key, "") + delta["text"]
        self.deltas.append(delta)

    @property
    def shown(self) -> list[str]:
        """The texts that are on the page, of messages that aren't finished too."""
        return list(self.texts.values())

    async def until(self, condition: Callable[[Follower], bool], what: str, within_seconds: float = 15.0) -> None:
        await eventually(lambda: condition(self), f"{what}; seqs {self.seqs}", within_seconds, pause_seconds=0.01)


@asynccontextmanager
async def follow(
    url: str, session_id: str, *, cursor: int | None = None, last_event_id: int | None = None
) -> AsyncIterator[Follower]:
    """Follows /v0/stream until the block ends; the stream is open when it begins."""
    query = {"sessionId": session_id} | ({} if cursor is None else {"cursor": str(cursor)})
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    async with read_stream(f"{url}/v0/stream?{urlencode(query)}", headers) as follower:
        yield follower


@asynccontextmanager
async def read_stream(url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Follower]:
    """Follows the stream at `url` until the block ends; it is open when the block begins."""
    follower = Follower()
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
        session.get(URL(url, encoded=True), headers=headers) as response,
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
