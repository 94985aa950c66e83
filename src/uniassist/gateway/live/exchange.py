"""How gateways tell each other of messages that are being written: of each session on the channel of that session.

So a gateway hears the text that its readers follow, and no other. What was missed is asked for, on a channel that
the session's writers hear, and told as a whole: by whoever begins to follow, and where a piece is missing.

Cancellations and the like are told to all, on one channel. As long as a gateway of the release before hears that
one, which takes nothing of text from those of sessions, all text is told there, as it was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import islice

import structlog

from uniassist.gateway.live.board import SILENT_SECONDS, Board, Writing
from uniassist.gateway.live.telling import MAX_KEPT, Round, Telling
from uniassist.gateway.live.wire import Batch, Mark, Over, Piece
from uniassist.lifecycle import Loop
from uniassist.streams.channels import ASKED_AT_ONCE, Channels
from uniassist.streams.client import Redis, counts_all_listeners
from uniassist.streams.wake import moved_prefix

log = structlog.get_logger()

FOR_ALL = "live"
BY_SESSION = "live:by-session"  # nothing is said there; who hears it takes text from the channels of sessions
ASKS = "live:asks:"  # and a session's id: heard by its writers
FASTEST_PACE_SECONDS, SLOWEST_PACE_SECONDS = 0.05, 1.0
SESSION_SECONDS = 0.0003  # of the pace for each session that was told of: ten times what it costs the loop
UNHEARD_SECONDS = 1.0  # between two tries of sessions that nobody else hears
TELL_AGAIN_SECONDS = SILENT_SECONDS / 3
ASK_SECONDS = 1.0
DEADLINE_SECONDS = 1.0
_CHANNELS_PACE_SECONDS = 0.01  # what changes meanwhile is asked for together


class Exchange:
    """Tells others what is on the board of ours, and puts on it what others tell.

    `owner`: names this gateway. `on_stopped`: called with what was cancelled at another gateway.
    `on_pushed`: with runs whose agents told another gateway that they have moved.
    `is_followed`: whether a session has readers here. `is_heard`: whether we hear its channel.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str,
        owner: str,
        board: Board,
        is_followed: Callable[[str], bool],
        is_heard: Callable[[str], bool],
        on_stopped: Callable[[Iterable[str]], None],
        on_pushed: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        self._redis = redis
        self._prefix, self._of_sessions = prefix, moved_prefix(prefix)
        self._mark = Mark(owner)
        self._board = board
        self._is_followed, self._is_heard = is_followed, is_heard
        self._on_stopped, self._on_pushed = on_stopped, on_pushed
        self._telling = Telling()
        self._stopped: list[str] = []
        self._pushed: dict[str, None] = {}
        self._asking: dict[str, None] = {}  # sessions
        self._asked_at: dict[str, float] = {}
        self._asks_older = False  # gateways of the release before
        self._asked_older_at = self._told_again_at = self._tried_at = float("-inf")
        self._tells_all = True  # until it is known that none of those is there
        self._pace_seconds = FASTEST_PACE_SECONDS
        self._loop = Loop("live-tell", self._tell_once)
        self._channels = Channels(redis, prefix, on_message=self._heard, on_followed=self._hears_from_now)
        self._channels.follow(FOR_ALL)
        self._channels.follow(BY_SESSION)
        self._listening = Loop("live-listen", self._listen_once)
        self._following = Loop("live-channels", self._follow_once)
        board.on_written, board.on_over = self._note_written, self._note_over

    def start(self) -> None:
        for loop in (self._loop, self._listening, self._following):
            loop.start()

    async def stop(self) -> None:
        # What others tell concerns nobody here any more.
        await asyncio.gather(self._loop.stop(DEADLINE_SECONDS), self._listening.stop(0), self._following.stop(0))
        await self._channels.close()

    def stopped(self, ids: Iterable[str]) -> None:
        """These runs, or calls, were cancelled here; another gateway may be making the calls."""
        self._stopped += list(ids)[: MAX_KEPT - len(self._stopped)]
        self._loop.wake()

    def pushed(self, run_ids: Iterable[str]) -> None:
        """These runs' agents say that they have moved; another gateway may follow them."""
        if len(self._pushed) < MAX_KEPT:
            self._pushed |= dict.fromkeys(run_ids)
        self._loop.wake()

    def follows(self, session_id: str) -> None:
        """Its first reader is here, and from now on its channel is heard: what was said before is asked for."""
        self._asked_at[session_id] = time.monotonic()
        self._asking[session_id] = None
        self._loop.wake()

    def leaves(self, session_id: str) -> None:
        """No reader is here any more. What becomes of its text isn't heard."""
        self._asked_at.pop(session_id, None)
        self._asking.pop(session_id, None)
        if not self._tells_all:
            self._board.forget(session_id)

    def hear(self, session_id: str, said: bytes) -> None:
        """On the channel of a session that has readers here."""
        batch = self._mark.read(said)
        if batch is not None and not self._take(batch):
            self._ask_again(session_id)

    def _note_written(self, writing: Writing) -> None:
        if not self._telling.writes(writing.session_id):
            self._channels.follow(ASKS + writing.session_id)
            self._following.wake()
        if self._telling.written(writing):
            self._loop.wake()

    def _note_over(self, writing: Writing) -> None:
        self._telling.over(writing)
        if not self._telling.writes(writing.session_id):
            self._channels.leave(ASKS + writing.session_id)
            self._following.wake()
        if self._telling.has_news:
            self._loop.wake()

    async def _tell_once(self) -> float:
        now = time.monotonic()
        if now - self._told_again_at > TELL_AGAIN_SECONDS:
            self._told_again_at = now
            self._board.drop_silent()
            self._telling.tell_all_again()
        looks = now - self._tried_at > UNHEARD_SECONDS
        if looks:
            self._tried_at = now
            self._telling.try_unheard()
        has_news = self._telling.has_news or self._stopped or self._pushed or self._asking or self._asks_older
        if not has_news and not (looks and self._tells_all):
            return UNHEARD_SECONDS if self._telling.has_unheard or self._tells_all else TELL_AGAIN_SECONDS
        await asyncio.sleep(self._pace_seconds)  # what is written meanwhile goes with it
        text = self._telling.begin()
        asking = list(islice(self._asking, ASKED_AT_ONCE))
        stopped, asks = self._stopped[:MAX_KEPT], self._asks_older
        pushed, self._pushed = self._pushed, {}  # one that comes meanwhile is another
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._say(text, asking, Batch(stopped=stopped, pushed=list(pushed), asks=asks))
        except BaseException:
            self._pushed = pushed | self._pushed
            raise
        for session_id in asking:
            self._asking.pop(session_id, None)
        del self._stopped[: len(stopped)]
        self._asks_older = self._asks_older and not asks
        return 0.0

    async def _say(self, text: Round, asking: Iterable[str], for_all: Batch) -> None:
        """In one trip to Redis."""
        by_session = {} if self._tells_all else text.said
        pieces: list[Piece] = []
        over: list[Over] = []
        if self._tells_all:
            for of_session in text.said.values():
                pieces += of_session[0]
                over += of_session[1]
        batch = Batch(pieces, over, for_all.stopped, for_all.pushed, for_all.asks, by_session=True)
        says_to_all = bool(pieces or over or batch.stopped or batch.pushed or batch.asks)
        async with self._redis.pipeline(transaction=False) as trip:
            for session_id, (its_pieces, its_ends) in by_session.items():
                said = self._mark.marked(Batch(its_pieces, its_ends))
                trip.execute_command("PUBLISH", _name(self._of_sessions, session_id), said)
            for session_id in asking:
                trip.execute_command("PUBLISH", _name(self._prefix + ASKS, session_id), self._mark.marked(Batch()))
            if says_to_all:
                trip.publish(self._prefix + FOR_ALL, self._mark.marked(batch))
            trip.pubsub_numsub(self._prefix + FOR_ALL, self._prefix + BY_SESSION)
            *heard_by, ((_, all_of_them), (_, of_ours)) = await trip.execute()
        wanted = len(by_session) * SESSION_SECONDS
        self._pace_seconds = min(max(FASTEST_PACE_SECONDS, wanted), SLOWEST_PACE_SECONDS)
        counted = zip(by_session, heard_by, strict=False) if counts_all_listeners(self._redis) else ()
        # Redis counts us too, where we follow the session.
        unheard = [session_id for session_id, count in counted if count <= self._is_heard(session_id)]
        self._telling.done(text, unheard=unheard)
        self._set_tells_all(all_of_them > of_ours)

    def _set_tells_all(self, wanted: bool) -> None:
        if wanted == self._tells_all:
            return
        self._tells_all = wanted
        log.info("text is told to all gateways" if wanted else "text is told by session")
        if wanted:
            self._telling.asked_for_all()
        else:
            self._board.forget_others(self._is_followed)

    async def _listen_once(self) -> float:
        await self._channels.listen_once()
        return 0.0

    async def _follow_once(self) -> float:
        await asyncio.sleep(_CHANNELS_PACE_SECONDS)
        return 0.0 if await self._channels.ask_once() else TELL_AGAIN_SECONDS

    def _hears_from_now(self, channels: Iterable[str]) -> None:
        for channel in channels:
            if channel.startswith(ASKS):
                self._telling.asked(channel.removeprefix(ASKS))  # somebody may have, unheard
            elif channel == FOR_ALL:
                self._ask_older()
        self._loop.wake()

    def _heard(self, channel: str, said: bytes) -> None:
        if channel.startswith(ASKS):
            if not self._mark.is_on(said):
                self._telling.asked(channel.removeprefix(ASKS))
                self._loop.wake()
        elif channel == FOR_ALL:
            batch = self._mark.read(said)
            if batch is not None:
                self._heard_by_all(batch)

    def _heard_by_all(self, batch: Batch) -> None:
        if not batch.by_session and (batch.pieces or batch.asks):  # it is of the release before
            self._set_tells_all(True)
            if batch.asks:
                self._telling.asked_for_all()
                self._loop.wake()
        if not self._take(batch):
            if not batch.by_session and time.monotonic() - self._asked_older_at > ASK_SECONDS:
                self._ask_older()
            for session_id in {each.session_id for each in batch.pieces} if batch.by_session else ():
                self._ask_again(session_id)
        if batch.stopped:
            self._on_stopped(batch.stopped)
        if batch.pushed and self._on_pushed is not None:
            self._on_pushed(batch.pushed)

    def _take(self, batch: Batch) -> bool:
        """False: something is missing before it."""
        complete = True
        for each in batch.pieces:
            if self._tells_all or self._is_followed(each.session_id):  # else we wouldn't hear of its end
                key = (each.run_id, each.message_id)
                complete &= self._board.take(
                    each.session_id, key, each.subject, each.attempt, each.offset, each.text
                )
        for done in batch.over:
            self._board.end(done.session_id, (done.run_id, done.message_id), done.attempt)
        return complete

    def _ask_again(self, session_id: str) -> None:
        asked_at = self._asked_at.get(session_id)
        if asked_at is not None and time.monotonic() - asked_at > ASK_SECONDS:
            self.follows(session_id)

    def _ask_older(self) -> None:
        self._asked_older_at = time.monotonic()
        self._asks_older = True
        self._loop.wake()


def _name(prefix: str, session_id: str) -> bytes:
    return (prefix + session_id).encode("utf-8", "surrogatepass")
