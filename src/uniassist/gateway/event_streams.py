"""Event streams: who follows which session, and what wakes them.

Followers are woken by this gateway's commits, by other gateways' hints and, since hints may be lost, by the global
stream. Whoever has the event already isn't woken. Neither is read while there are no followers.

The hub carries wake-ups only; events are read from Postgres by cursor. So there is no gap and no double between
history and live, and a reader that lags holds a page at most.

Of messages that are being written each reader takes from the board what it hasn't had, woken at a pace: a wake-up
for each piece would cost more than the pieces. Whatever wakes them, few are woken at once: what ten thousand do in
one round of the loop would hold up everybody's answers for as long.

Wake-ups may be missed: when Redis is away or comes back, or when a read fails. Then, and now and then anyway, the
hub looks: one statement asks which of many sessions moved, and only their followers read. Reads take turns, so that
ten thousand readers leave the pool to those who write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeAlias, cast

import msgspec
import structlog

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION, Wire
from uniassist.contracts.timeline import SseFrame, TimelineEvent
from uniassist.errors import ServerFault
from uniassist.gateway.live.board import DURABLE, Board, Shown
from uniassist.gateway.live.waking import Waking
from uniassist.lifecycle import Loop
from uniassist.store import timeline
from uniassist.store.server.pool import Pool
from uniassist.streams import wake
from uniassist.streams.client import Redis

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
IDLE_SECONDS = 60.0  # the first follower ends it
PAGE = 200
PAGE_BYTES = 64 * 1024  # a reader that lags holds two such pages at most, and an event each
READS = 8  # at a time, of the pool's 20 connections
LOOK_SESSIONS = 1000  # in one statement: a few milliseconds of the loop
FASTEST_PACE_SECONDS, SLOWEST_PACE_SECONDS = 0.05, 1.0  # of a message that is being written
SHOWING_SECONDS = 0.0003  # of the pace for each reader: several times what it costs the loop
EXPIRED = b": the token has expired; go on from the last id with a new one\n\n"
_READ_COUNT, _READ_BLOCK_MS = 1000, 1000
_SILENT_AFTER_SECONDS = 1.5  # reads of Redis end after a second at most, with or without news
_MESSAGE_ID = b'"messageId"'
# redis-py's own types cover both protocols and both modes; this client has bytes and RESP 2.
_Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]


class _Named(Wire, frozen=True):
    message_id: str | None = None


class _Finished(Wire, frozen=True):
    event: _Named


@dataclass(eq=False, slots=True)
class _Follower:
    """One reader of a session.

    `cursor`: the seq of the last event that it was given.
    `subject`: whose session it must be; None: anyone's.
    `has_news`: there may be events to read. `woken`: there may be those, or more of a message.
    `shown`: how far it is with such messages.
    """

    cursor: int
    subject: str | None
    has_news: bool = True
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    shown: Shown = field(default_factory=Shown)


class _Asked(NamedTuple):
    session_id: str
    cursor: int
    subject: str | None


class _Page(NamedTuple):
    """`end`: the cursor behind it. `more`: there was more than fits."""

    frames: bytes
    end: int
    more: bool


class Hub:
    """The followers of a process, and the loops that wake those whose sessions moved.

    `prefix`: of the stream keys; hints are sent under it too.
    `global_key`: of the global stream.
    """

    def __init__(
        self, pool: Pool, redis: Redis, *, prefix: str, global_key: str, board: Board | None = None
    ) -> None:
        self._board = board or Board()
        self._board.on_change = self._text_changed
        self._waking = Waking()
        self._changed: set[str] = set()  # sessions with followers and more text for them
        self._pace_seconds = FASTEST_PACE_SECONDS
        self._showing = Loop("stream-text", self._show_once)
        self._pool = pool
        self._redis = redis
        self._global_key = global_key
        self._followers: dict[str, set[_Follower]] = {}
        self._last_id: str | None = None
        self._read_at = float("-inf")  # when Redis last answered the reader; the loop's time
        self._reads = asyncio.Semaphore(READS)
        self._waiting: dict[_Asked, asyncio.Task[_Page]] = {}  # reads that haven't begun
        self._reading: set[asyncio.Task[_Page]] = set()
        self._unsure = False  # a wake-up may have been missed
        self._blind = False  # the last read failed
        self._look_at = float("-inf")  # when to look next even so; the loop's time
        self._closed = asyncio.Event()
        self._listener = wake.Listener(redis, prefix, self._heard)
        self._poll = Loop("stream-poll", self._poll_once)
        self._hearing = (Loop("stream-reader", self._read_once), Loop("stream-hints", self._listen_once))
        self._loops = (self._poll, self._showing, *self._hearing)

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        self.close_streams()
        # What is read for streams that are closed concerns nobody: no wait for Redis' answer to a blocking read.
        await asyncio.gather(*(loop.stop(0) for loop in self._loops))
        for reading in self._reading:
            reading.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await self._listener.close()

    def close_streams(self) -> None:
        """End all streams; their clients come back with their cursor."""
        self._closed.set()
        self.wake(dict.fromkeys(self._followers))

    def wake(self, moved: Mapping[str, int | None]) -> None:
        """Wake who follows these sessions. `moved`: session → its newest seq, None when it isn't known."""
        for session_id, seq in moved.items():
            for follower in self._followers.get(session_id, ()):
                if seq is None or seq > follower.cursor:
                    self._has_news(follower)

    def _has_news(self, follower: _Follower) -> None:
        follower.has_news = True
        self._waking.wake(follower.woken)

    async def follow(
        self, session_id: str, cursor: int, *, subject: str | None = None, until: float | None = None
    ) -> AsyncIterator[bytes]:
        """Server-sent events after `cursor`, for as long as the reader stays; comments as heartbeats.

        A session that isn't `subject`'s (None: any) has no events, now or later.
        `until`: the stream ends then, by the loop's time.
        """
        follower = _Follower(cursor, subject)
        follower.woken.set()
        if not self._followers:
            for each in self._hearing:
                each.wake()
        self._followers.setdefault(session_id, set()).add(follower)
        loop = asyncio.get_running_loop()
        try:
            yield b": connected\n\n"
            beat_at = loop.time() + HEARTBEAT_SECONDS
            while not self._closed.is_set():
                if until is not None and loop.time() >= until:
                    yield EXPIRED
                    return
                frames = b""
                follower.woken.clear()
                if follower.has_news:
                    follower.has_news = False
                    frames = await self._news_for(follower, session_id, beat_at)
                if not follower.has_news:  # else there are events before the text
                    frames += self._board.news(session_id, follower.subject, follower.shown)
                if not frames and loop.time() >= beat_at:
                    frames = b": heartbeat\n\n"
                if frames:
                    yield frames
                    beat_at = loop.time() + HEARTBEAT_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(beat_at if until is None else min(beat_at, until)):
                        await follower.woken.wait()
        finally:
            followers = self._followers[session_id]
            followers.discard(follower)
            if not followers:
                del self._followers[session_id]

    async def _news_for(self, follower: _Follower, session_id: str, beat_at: float) -> bytes:
        """The next page as frames. Empty also when it can't be read before the heartbeat; a look follows then."""
        asked = _Asked(session_id, follower.cursor, follower.subject)
        try:
            is_shared = len(self._followers[session_id]) > 1
            page = await (self._shared(asked, beat_at) if is_shared else self._read(asked, beat_at))
        except (ServerFault, TimeoutError) as error:
            self._missed(error)
            return b""
        follower.cursor = page.end
        if page.more:
            follower.has_news = True
            follower.woken.set()
        return page.frames

    async def _shared(self, asked: _Asked, begin_until: float) -> _Page:
        """One read for all who ask the same before it begins; one under way may be older than what woke them."""
        reading = self._waiting.get(asked)
        if reading is None:
            reading = self._waiting[asked] = asyncio.create_task(self._read(asked, begin_until))
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)
            reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # its readers may be gone
        return await asyncio.shield(reading)

    async def _read(self, asked: _Asked, begin_until: float) -> _Page:
        """TimeoutError when its turn doesn't come."""
        try:
            async with asyncio.timeout_at(begin_until):
                await self._reads.acquire()
        finally:
            if self._waiting.get(asked) is asyncio.current_task():
                del self._waiting[asked]
        try:
            page = await timeline.read(
                self._pool, asked.session_id, asked.cursor, PAGE, max_bytes=PAGE_BYTES, subject=asked.subject
            )
        finally:
            self._reads.release()
        for event in page.events:
            self._note_finished(event)
        end = page.events[-1].seq if page.events else asked.cursor
        return _Page(_frames(page.events), end, page.more)

    def _note_finished(self, event: TimelineEvent) -> None:
        """A durable message ends what was shown of it: another gateway may still have some on its way to us."""
        if event.kind == "interaction" and event.run_id is not None and _MESSAGE_ID in bytes(event.payload):
            message_id = msgspec.json.decode(event.payload, type=_Finished).event.message_id
            if message_id is not None:
                self._board.end(event.session_id, (event.run_id, message_id), DURABLE)

    def _text_changed(self, session_id: str) -> None:
        if session_id in self._followers:
            if not self._changed:
                self._showing.wake()
            self._changed.add(session_id)

    async def _show_once(self) -> float:
        """Wake those who have text to take; the more they are, the less often, so that others get their turn."""
        if not self._changed:
            return HEARTBEAT_SECONDS
        await asyncio.sleep(self._pace_seconds)
        changed, self._changed = self._changed, set()
        woken = [follower for session_id in changed for follower in self._followers.get(session_id, ())]
        for follower in woken:
            self._waking.wake(follower.woken)
        self._pace_seconds = min(max(FASTEST_PACE_SECONDS, len(woken) * SHOWING_SECONDS), SLOWEST_PACE_SECONDS)
        return 0.0

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
                            self._has_news(follower)
        except ServerFault as error:
            self._missed(error)
        else:
            self._blind = False

    def _missed(self, error: Exception) -> None:
        """A read failed, so what it was for is still to be read: look again soon. Said once for all streams."""
        if not self._blind:
            log.warning("event streams can't read", error=repr(error))
        self._blind = self._unsure = True

    def _look_soon(self) -> None:
        self._unsure = True
        self._poll.wake()

    async def _listen_once(self) -> float:
        if not self._followers:
            await self._listener.close()
            return IDLE_SECONDS
        return await self._listener.listen_once()

    async def _read_once(self) -> float:
        if not self._followers:
            self._last_id = None
            return IDLE_SECONDS
        try:
            if self._last_id is None:
                self._last_id = await self._end_of_stream()
                self._look_soon()  # for what was published before
            found = await self._redis.xread(
                {self._global_key: self._last_id}, count=_READ_COUNT, block=_READ_BLOCK_MS
            )
        except ServerFault:
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
