"""Event streams: who follows which session, woken by this gateway's own commits and by the global stream.

The hub carries only wake-ups; events are read from Postgres by cursor. So the hand-over from history to live has
no gap and no double, a reader that lags holds no memory here, and while Redis is away a wake-up each second takes
its place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import TypeAlias, cast

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import SseFrame
from uniassist.gateway.ledger import OUTAGE
from uniassist.lifecycle import Loop
from uniassist.store import timeline
from uniassist.store.pool import Pool

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
PAGE = 200
_READ_COUNT, _READ_BLOCK_MS = 1000, 1000
_SILENT_AFTER_SECONDS = 1.5  # a read of Redis ends after a second at most, with or without news
# redis-py's own types cover both protocols and both modes; this client has bytes and RESP 2.
_Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]


class Hub:
    """One per process: a single Redis reader wakes the followers of the sessions that moved."""

    def __init__(self, pool: Pool, redis: Redis, *, global_key: str) -> None:
        self._pool = pool
        self._redis = redis
        self._global_key = global_key
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._last_id: str | None = None
        self._read_at = float("-inf")  # when Redis last answered the reader; the loop's time
        self._closed = asyncio.Event()
        self._loops = (Loop("stream-reader", self._read_once), Loop("stream-poll", self._poll_once))

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        self.close_streams()
        await asyncio.gather(*(loop.stop() for loop in self._loops))

    def close_streams(self) -> None:
        """End all streams; their clients come back with their cursor."""
        self._closed.set()
        for followers in self._followers.values():
            for news in followers:
                news.set()

    def wake(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            for news in self._followers.get(session_id, ()):
                news.set()

    async def follow(self, session_id: str, cursor: int, *, subject: str | None = None) -> AsyncIterator[bytes]:
        """Server-sent events after `cursor`, for as long as the reader stays; comments as heartbeats.

        A session that isn't `subject`'s (None: any) has no events, now or later.
        """
        news = asyncio.Event()
        self._followers.setdefault(session_id, set()).add(news)
        loop = asyncio.get_running_loop()
        try:
            yield b": connected\n\n"
            beat_at = loop.time() + HEARTBEAT_SECONDS
            while not self._closed.is_set():
                news.clear()
                patience = HEARTBEAT_SECONDS
                frames, more = b"", False
                try:
                    frames, cursor, more = await self._frames_after(session_id, cursor, subject)
                except (*OUTAGE, asyncpg.PostgresError) as error:
                    # The stream stays open. What it was woken for is still to be read: it asks again soon.
                    log.warning("event stream can't read", error=repr(error))
                    patience = POLL_SECONDS
                if not frames and loop.time() >= beat_at:
                    frames = b": heartbeat\n\n"
                if frames:
                    yield frames
                    beat_at = loop.time() + HEARTBEAT_SECONDS
                if not more:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), max(0.0, min(patience, beat_at - loop.time())))
        finally:
            followers = self._followers[session_id]
            followers.discard(news)
            if not followers:
                del self._followers[session_id]

    async def _frames_after(self, session_id: str, cursor: int, subject: str | None) -> tuple[bytes, int, bool]:
        page = await timeline.read(self._pool, session_id, cursor, PAGE, subject=subject)
        frames = [
            b"id: %d\ndata: %b\n\n"
            % (
                event.seq,
                codec.encode(SseFrame(schema_version=SCHEMA_VERSION, type="timeline_event", event=event)),
            )
            for event in page.events
        ]
        return b"".join(frames), page.events[-1].seq if page.events else cursor, page.more

    async def _poll_once(self) -> float:
        if asyncio.get_running_loop().time() - self._read_at > _SILENT_AFTER_SECONDS:
            self._wake_all()
        return POLL_SECONDS

    async def _read_once(self) -> float:
        try:
            if self._last_id is None:
                self._last_id = await self._end_of_stream()
                self._wake_all()  # what was published before this look is found by the cursors
            found = await self._redis.xread(
                {self._global_key: self._last_id}, count=_READ_COUNT, block=_READ_BLOCK_MS
            )
        except (RedisError, OSError):
            self._read_at, self._last_id = float("-inf"), None
            raise
        self._read_at = asyncio.get_running_loop().time()
        answer = cast("list[tuple[bytes, _Entries]]", found or [])
        moved: set[str] = set()
        for _, entries in answer:
            for entry_id, fields in entries:
                self._last_id = entry_id.decode()
                moved.add(fields.get(b"sessionId", b"").decode("utf-8", "replace"))
        self.wake(moved)
        if not answer:
            await self._notice_a_rebuilt_stream()
        return 0.0

    async def _end_of_stream(self) -> str:
        newest = cast(_Entries, await self._redis.xrevrange(self._global_key, count=1))
        return newest[0][0].decode() if newest else "0-0"

    async def _notice_a_rebuilt_stream(self) -> None:
        """After a FLUSHALL the new stream may begin below the id that this reader waits beyond."""
        end = await self._end_of_stream()
        if self._last_id is not None and _number(end) < _number(self._last_id):
            self._last_id = None

    def _wake_all(self) -> None:
        self.wake(list(self._followers))


def _number(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
