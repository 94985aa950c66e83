"""Event streams: who follows which session, and what wakes them.

Followers are woken by this gateway's commits, by other gateways' hints and, since hints may be lost, by the worker
when it publishes. A session that has followers is a channel that is heard; of others nothing is. Whoever has the
event already isn't woken.

The hub carries wake-ups only; events are read from Postgres by cursor. So there is no gap and no double between
history and live, and a reader that lags holds a page at most.

Of messages that are being written each reader takes from the board what it hasn't had, woken at a pace: a wake-up
for each piece would cost more than the pieces. Whatever wakes them, few are woken at once: what ten thousand do in
one round of the loop would hold up everybody's answers for as long.

Wake-ups may be missed: before a channel is heard, when Redis is away, or when a read fails. Then, and now and then
anyway, the hub looks: one statement asks which of many sessions moved, and only their followers read. Reads take
turns, so that ten thousand readers leave the pool to those who write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import msgspec
import structlog

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION, Wire
from uniassist.contracts.timeline import SseFrame, TimelineEvent
from uniassist.errors import ServerFault
from uniassist.gateway.live.board import DURABLE, Board, Shown
from uniassist.gateway.live.waking import Waking
from uniassist.gateway.live.wire import is_text
from uniassist.lifecycle import Loop
from uniassist.store import timeline
from uniassist.store.server.pool import Pool
from uniassist.streams.channels import Channels
from uniassist.streams.client import Redis
from uniassist.streams.wake import moved_prefix

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
IDLE_SECONDS = 60.0  # the first follower ends it
PAGE = 200
PAGE_BYTES = 64 * 1024  # a reader that lags holds two such pages at most, and an event each
LOOK_SECONDS = 0.5  # that one under way has at the end; a statement that is given up takes another connection
READS = 8  # at a time, of the pool's 20 connections
LOOK_SESSIONS = 1000  # in one statement: a few milliseconds of the loop
FASTEST_PACE_SECONDS, SLOWEST_PACE_SECONDS = 0.05, 1.0  # of a message that is being written
SHOWING_SECONDS = 0.0003  # of the pace for each reader: several times what it costs the loop
EXPIRED = b": the token has expired; go on from the last id with a new one\n\n"
_SILENT_AFTER_SECONDS = 1.5  # Redis is asked for a sign of life after a second
_ASK_PACE_SECONDS = 0.01  # what changes meanwhile is asked for together
_LOOK_PACE_SECONDS = 0.02  # of channels that are newly heard
_MESSAGE_ID = b'"messageId"'


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

    `prefix`: of the stream keys; the channels are under it too.
    `on_followed`: called with a session that has readers, when its channel is heard from now on. `on_left`: when it
    has none any more. `on_text`: with what others say of its messages that are being written.
    """

    def __init__(self, pool: Pool, redis: Redis, *, prefix: str, board: Board | None = None) -> None:
        self._board = board or Board()
        self.on_followed: Callable[[str], None] = lambda _session_id: None
        self.on_left: Callable[[str], None] = lambda _session_id: None
        self.on_text: Callable[[str, bytes], None] = lambda _session_id, _said: None
        self._board.on_change = self._text_changed
        self._waking = Waking()
        self._changed: set[str] = set()  # sessions with followers and more text for them
        self._pace_seconds = FASTEST_PACE_SECONDS
        self._showing = Loop("stream-text", self._show_once)
        self._pool = pool
        self._followers: dict[str, set[_Follower]] = {}
        self._reads = asyncio.Semaphore(READS)
        self._waiting: dict[_Asked, asyncio.Task[_Page]] = {}  # reads that haven't begun
        self._reading: set[asyncio.Task[_Page]] = set()
        self._unsure = False  # a wake-up may have been missed
        self._newly_heard: set[str] = set()  # of these sessions, before they were
        self._blind = False  # the last read failed
        self._look_at = float("-inf")  # when to look next even so; the loop's time
        self._closed = asyncio.Event()
        self._channels = Channels(
            redis, moved_prefix(prefix), on_message=self._heard, on_followed=self._hears_from_now
        )
        self._poll = Loop("stream-poll", self._poll_once)
        self._listening = Loop("stream-hints", self._listen_once)
        self._asking = Loop("stream-channels", self._ask_once)
        self._loops = (self._poll, self._showing, self._listening, self._asking)

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        self.close_streams()
        # What is read for streams that are closed concerns nobody: no wait for what Redis may say.
        await asyncio.gather(*(loop.stop(LOOK_SECONDS if loop is self._poll else 0) for loop in self._loops))
        for reading in self._reading:
            reading.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await self._channels.close()

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
        self._add(session_id, follower)
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
            self._remove(session_id, follower)

    def _add(self, session_id: str, follower: _Follower) -> None:
        if not self._followers:
            self._listening.wake()
        if session_id not in self._followers:
            self._followers[session_id] = set()
            self._channels.follow(session_id)
            self._asking.wake()
            if self._channels.hears(session_id):  # its last reader has just left
                self.on_followed(session_id)
        self._followers[session_id].add(follower)

    def _remove(self, session_id: str, follower: _Follower) -> None:
        followers = self._followers[session_id]
        followers.discard(follower)
        if not followers:
            del self._followers[session_id]
            self._channels.leave(session_id)
            self._asking.wake()
            self.on_left(session_id)

    def is_followed(self, session_id: str) -> bool:
        return session_id in self._followers

    def is_heard(self, session_id: str) -> bool:
        """Its channel, by us: Redis counts us among those who are told."""
        return self._channels.hears(session_id)

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
        if self._unsure or now - self._channels.heard_at > _SILENT_AFTER_SECONDS or now >= self._look_at:
            self._look_at = now + HEARTBEAT_SECONDS
            self._unsure = False
            self._newly_heard.clear()
            await self._look(self._followers)
        elif self._newly_heard:
            await asyncio.sleep(_LOOK_PACE_SECONDS)
            heard, self._newly_heard = self._newly_heard, set()
            await self._look(heard)
            return 0.0
        return POLL_SECONDS

    async def _look(self, sessions: Iterable[str]) -> None:
        """Wake the followers of those of the sessions that moved, whatever was heard of them."""
        cursors = {
            session: min(each.cursor for each in those)
            for session in sessions
            if (those := self._followers.get(session))
        }
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

    async def _listen_once(self) -> float:
        if self._followers:
            await self._channels.listen_once()
            return 0.0
        await self._channels.close()
        return IDLE_SECONDS

    async def _ask_once(self) -> float:
        await asyncio.sleep(_ASK_PACE_SECONDS)
        return 0.0 if await self._channels.ask_once() else IDLE_SECONDS

    def _heard(self, session_id: str, said: bytes) -> None:
        if said.isdigit():
            self.wake({session_id: int(said)})
        elif not is_text(said):
            self.wake({session_id: None})
        elif session_id in self._followers:
            self.on_text(session_id, said)

    def _hears_from_now(self, sessions: Iterable[str]) -> None:
        if not self._newly_heard:
            self._poll.wake()
        self._newly_heard.update(sessions)
        for session_id in sessions:
            if session_id in self._followers:
                self.on_followed(session_id)


def _frames(events: Iterable[TimelineEvent]) -> bytes:
    return b"".join(
        b"id: %d\ndata: %b\n\n"
        % (event.seq, codec.encode(SseFrame(schema_version=SCHEMA_VERSION, type="timeline_event", event=event)))
        for event in events
    )
