"""What gateways tell each other of messages that are being written, over one channel of Redis.

Told in batches: however many messages are written, a gateway says so PACE_SECONDS apart. Nothing is queued: what
couldn't be told is on the board, and goes with the next batch. What was missed is asked for, and told as a whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec
import structlog

from uniassist.contracts import codec
from uniassist.gateway.live.board import SILENT_SECONDS, Board, Writing
from uniassist.lifecycle import Loop
from uniassist.streams.client import Redis
from uniassist.streams.wake import Listener

log = structlog.get_logger()

CHANNEL = "live"
PACE_SECONDS = 0.05
TELL_AGAIN_SECONDS = SILENT_SECONDS / 3
ASK_SECONDS = 1.0
DEADLINE_SECONDS = 1.0
MAX_BATCH_CHARACTERS = 128 * 1024
MAX_KEPT = 10_000  # of ends and stops, while Redis is away


class _Piece(msgspec.Struct, array_like=True, frozen=True):
    session_id: str
    run_id: str
    message_id: str
    subject: str | None
    attempt: int
    offset: int
    text: str


class _Over(msgspec.Struct, array_like=True, frozen=True):
    session_id: str
    run_id: str
    message_id: str
    attempt: int


class _Batch(msgspec.Struct, omit_defaults=True, frozen=True):
    """`asks`: for all that is being written, from its beginning. `stopped`: runs, or calls, that are cancelled.
    `pushed`: runs whose agents say that they have moved.
    """

    pieces: list[_Piece] = []
    over: list[_Over] = []
    stopped: list[str] = []
    pushed: list[str] = []
    asks: bool = False


class Exchange:
    """Tells others what is on the board of ours, and puts on it what others tell.

    `owner`: names this gateway. `on_stopped`: called with what was cancelled at another gateway.
    `on_pushed`: with runs whose agents told another gateway that they have moved.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str,
        owner: str,
        board: Board,
        on_stopped: Callable[[Iterable[str]], None],
        on_pushed: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        self._redis = redis
        self._channel = f"{prefix}{CHANNEL}"
        self._mark = owner.encode() + b"\n"
        self._board = board
        self._on_stopped = on_stopped
        self._on_pushed = on_pushed
        self._told: dict[Writing, int] = {}  # how much of each others have been told
        self._written: dict[Writing, None] = {}  # of which there is more to tell
        self._over: list[_Over] = []
        self._stopped: list[str] = []
        self._pushed: dict[str, None] = {}
        self._asks = False
        self._asked_at = self._told_again_at = float("-inf")
        self._telling = Loop("live-tell", self._tell_once)
        self._listener = Listener(redis, prefix, self._heard, name=CHANNEL)
        self._listening = Loop("live-listen", self._listener.listen_once)
        board.on_written, board.on_over = self._note_written, self._note_over

    def start(self) -> None:
        self._telling.start()
        self._listening.start()

    async def stop(self) -> None:
        # A look at what others tell ends by no stop of ours: it waits for them, and nobody here asks any more.
        await asyncio.gather(self._telling.stop(DEADLINE_SECONDS), self._listening.stop(0))
        await self._listener.close()

    def stopped(self, ids: Iterable[str]) -> None:
        """These runs, or calls, were cancelled here; another gateway may be making the calls."""
        self._stopped += list(ids)[: MAX_KEPT - len(self._stopped)]
        self._telling.wake()

    def pushed(self, run_ids: Iterable[str]) -> None:
        """These runs' agents say that they have moved; another gateway may follow them."""
        if len(self._pushed) < MAX_KEPT:
            self._pushed |= dict.fromkeys(run_ids)
        self._telling.wake()

    def _note_written(self, writing: Writing) -> None:
        if not self._written:
            self._telling.wake()
        self._written[writing] = None

    def _note_over(self, writing: Writing) -> None:
        self._written.pop(writing, None)
        if self._told.pop(writing, None) is not None and len(self._over) < MAX_KEPT:
            self._over.append(_Over(writing.session_id, *writing.key, writing.attempt))
            self._telling.wake()

    async def _tell_once(self) -> float:
        if time.monotonic() - self._told_again_at > TELL_AGAIN_SECONDS:
            self._told_again_at = time.monotonic()
            self._board.drop_silent()
            self._written |= dict.fromkeys(self._board.own())
        if not (self._written or self._over or self._stopped or self._pushed or self._asks):
            return TELL_AGAIN_SECONDS
        await asyncio.sleep(PACE_SECONDS)  # what is written meanwhile goes with it
        pieces, told = self._pieces()
        over, stopped, asks = self._over[:MAX_KEPT], self._stopped[:MAX_KEPT], self._asks
        pushed, self._pushed = self._pushed, {}  # one that comes meanwhile is another
        batch = _Batch(pieces, over, stopped, list(pushed), asks)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._redis.publish(self._channel, self._mark + codec.encode(batch))
        except BaseException:
            self._pushed = pushed | self._pushed
            raise
        for writing, (offset, length) in told.items():
            if self._told.get(writing) == offset:  # else it ended meanwhile, or was asked for
                self._told[writing] = length
                if writing.length == length:
                    self._written.pop(writing, None)
        del self._over[: len(over)], self._stopped[: len(stopped)]
        self._asks = self._asks and not asks
        return 0.0

    def _pieces(self) -> tuple[list[_Piece], dict[Writing, tuple[int, int]]]:
        """What others haven't been told, to the bound of a batch; of each message from where to where."""
        pieces: list[_Piece] = []
        told: dict[Writing, tuple[int, int]] = {}
        room = MAX_BATCH_CHARACTERS
        for writing in self._written:
            offset = self._told.setdefault(writing, 0)
            text = writing.since(offset)
            pieces.append(_Piece(writing.session_id, *writing.key, writing.subject, writing.attempt, offset, text))
            told[writing] = (offset, offset + len(text))
            room -= len(text)
            if room <= 0:
                break
        return pieces, told

    def _heard(self, raw: bytes | None) -> None:
        if raw is None:
            self._ask()
            return
        if raw.startswith(self._mark):
            return
        try:
            batch = msgspec.json.decode(raw.partition(b"\n")[2], type=_Batch)
        except msgspec.MsgspecError:  # another release's, an operator's
            return
        complete = True
        for each in batch.pieces:
            key = (each.run_id, each.message_id)
            complete &= self._board.take(each.session_id, key, each.subject, each.attempt, each.offset, each.text)
        for done in batch.over:
            self._board.end(done.session_id, (done.run_id, done.message_id), done.attempt)
        if batch.stopped:
            self._on_stopped(batch.stopped)
        if batch.pushed and self._on_pushed is not None:
            self._on_pushed(batch.pushed)
        if batch.asks:
            self._told = dict.fromkeys(self._told, 0)
            self._written |= dict.fromkeys(self._board.own())
            self._telling.wake()
        if not complete and time.monotonic() - self._asked_at > ASK_SECONDS:
            self._ask()

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        self._asks = True
        self._telling.wake()
