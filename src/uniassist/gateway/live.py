"""Event streams: who follows which session, woken by commits: this gateway's own, and other gateways' hints.

The global stream wakes them too, for hints may be lost. Whoever has the event already isn't woken.

The hub carries only wake-ups; events are read from Postgres by cursor. So the hand-over from history to live has
no gap and no double, and a reader that lags holds a page at most.

Where wake-ups may have been missed (Redis is away or came back, a read failed, and now and then anyway), the hub
looks: one statement asks for many sessions which of them moved, and only their followers read. Reads take turns,
so that ten thousand readers leave the pool to those who write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias, cast

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import SseFrame, TimelineEvent
from uniassist.gateway.ledger import OUTAGE
from uniassist.lifecycle import Loop
from uniassist.store import timeline
from uniassist.store.pool import Pool
from uniassist.streams import wake

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
PAGE = 200
PAGE_BYTES = 64 * 1024  # as much again, and an event each, wait at a reader that lags
READS = 8  # at a time, of the pool's 20 connections
LOOK_SESSIONS = 1000  # in one statement: a few milliseconds of the loop
_STOP_SECONDS = 1.5  # a read under way ends by then
_READ_COUNT, _READ_BLOCK_MS = 1000, 1000
_SILENT_AFTER_SECONDS = 1.5  # a read of Redis ends after a second at most, with or without news
# redis-py's own types cover both protocols and both modes; this client has bytes and RESP 2.
_Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(eq=False, slots=True)
class _Follower:
    """`cursor`: the last event that it was given. `subject`: whose session it must be; None: anyone's."""

    cursor: int
    subject: str | None
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """One per process: a single Redis reader wakes the followers of the sessions that moved."""

    def __init__(self, pool: Pool, redis: Redis, *, prefix: str, global_key: str) -> None:
        self._pool = pool
        self._redis = redis
        self._global_key = global_key
        self._followers: dict[str, set[_Follower]] = {}
        self._last_id: str | None = None
        self._read_at = float("-inf")  # when Redis last answered the reader; the loop's time
        self._reads = asyncio.Semaphore(READS)
        self._unsure = False  # a wake-up may have been missed
        self._blind = False  # the last read failed
        self._look_at = float("-inf")  # when to look next even so; the loop's time
        self._closed = asyncio.Event()
        self._listener = wake.Listener(redis, prefix, self._heard)
        self._poll = Loop("stream-poll", self._poll_once)
        self._loops = (
            self._poll,
            Loop("stream-reader", self._read_once),
            Loop("stream-hints", self._listener.listen_once),
        )

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        self.close_streams()
        await asyncio.gather(*(loop.stop(_STOP_SECONDS) for loop in self._loops))
        await self._listener.close()

    def close_streams(self) -> None:
        """End all streams; their clients come back with their cursor."""
        self._closed.set()
        self.wake(dict.fromkeys(self._followers))

    def wake(self, moved: Mapping[str, int | None]) -> None:
        """Session → its newest seq; None: not known."""
        for session_id, seq in moved.items():
            for follower in self._followers.get(session_id, ()):
                if seq is None or seq > follower.cursor:
                    follower.news.set()

    async def follow(self, session_id: str, cursor: int, *, subject: str | None = None) -> AsyncIterator[bytes]:
        """Server-sent events after `cursor`, for as long as the reader stays; comments as heartbeats.

        A session that isn't `subject`'s (None: any) has no events, now or later.
        """
        follower = _Follower(cursor, subject)
        news = follower.news
        news.set()
        self._followers.setdefault(session_id, set()).add(follower)
        loop = asyncio.get_running_loop()
        try:
            yield b": connected\n\n"
            beat_at = loop.time() + HEARTBEAT_SECONDS
            while not self._closed.is_set():
                frames = b""
                if news.is_set():
                    news.clear()
                    frames = await self._news_for(follower, session_id, beat_at)
                if not frames and loop.time() >= beat_at:
                    frames = b": heartbeat\n\n"
                if frames:
                    yield frames
                    beat_at = loop.time() + HEARTBEAT_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(beat_at):
                        await news.wait()
        finally:
            followers = self._followers[session_id]
            followers.discard(follower)
            if not followers:
                del self._followers[session_id]

    async def _news_for(self, follower: _Follower, session_id: str, beat_at: float) -> bytes:
        """The next page as frames. Empty also when it can't be read before the heartbeat: a look follows."""
        try:
            async with asyncio.timeout_at(beat_at):
                await self._reads.acquire()
            try:
                page = await timeline.read(
                    self._pool, session_id, follower.cursor, PAGE, max_bytes=PAGE_BYTES, subject=follower.subject
                )
            finally:
                self._reads.release()
        except (*OUTAGE, asyncpg.PostgresError) as error:
            self._missed(error)
            return b""
        if page.events:
            follower.cursor = page.events[-1].seq
        if page.more:
            follower.news.set()
        return _frames(page.events)

    async def _poll_once(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._unsure or now - self._read_at > _SILENT_AFTER_SECONDS or now >= self._look_at:
            self._look_at = now + HEARTBEAT_SECONDS
            await self._look()
        return POLL_SECONDS

    async def _look(self) -> None:
        """Wake the followers of the sessions that moved, whatever was heard of them."""
        self._unsure = False
        cursors = {session: min(each.cursor for each in those) for session, those in self._followers.items()}
        waiting = iter(cursors.items())
        try:
            while some := dict(islice(waiting, LOOK_SESSIONS)):
                for session_id, seq, subject in await timeline.moved(self._pool, some):
                    for follower in self._followers.get(session_id, ()):
                        if seq > follower.cursor and follower.subject in (None, subject):
                            follower.news.set()
        except (*OUTAGE, asyncpg.PostgresError) as error:
            self._missed(error)
        else:
            self._blind = False

    def _missed(self, error: Exception) -> None:
        """What was to be read is still to be read: look again soon. Said once for all streams."""
        if not self._blind:
            log.warning("event streams can't read", error=repr(error))
        self._blind = self._unsure = True

    def _look_soon(self) -> None:
        self._unsure = True
        self._poll.wake()

    async def _read_once(self) -> float:
        try:
            if self._last_id is None:
                self._last_id = await self._end_of_stream()
                self._look_soon()  # for what was published before
            found = await self._redis.xread(
                {self._global_key: self._last_id}, count=_READ_COUNT, block=_READ_BLOCK_MS
            )
        except (RedisError, OSError):
            self._read_at, self._last_id = float("-inf"), None
            raise
        self._read_at = asyncio.get_running_loop().time()
        answer = cast("list[tuple[bytes, _Entries]]", found or [])
        for _, entries in answer:
            for entry_id, fields in entries:
                self._last_id = entry_id.decode()
                self.wake({fields.get(b"sessionId", b"").decode("utf-8", "replace"): _seq(fields)})
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

    def _heard(self, hint: bytes | None) -> None:
        if hint is None:
            self._look_soon()
        elif self._followers:
            self.wake(wake.moved_in(hint))


def _frames(events: Iterable[TimelineEvent]) -> bytes:
    return b"".join(
        b"id: %d\ndata: %b\n\n"
        % (event.seq, codec.encode(SseFrame(schema_version=SCHEMA_VERSION, type="timeline_event", event=event)))
        for event in events
    )


def _seq(fields: Mapping[bytes, bytes]) -> int | None:
    shown = fields.get(b"seq", b"")
    return int(shown) if shown.isdigit() else None


def _number(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
