"""The board: the text so far of each message that is being written, here or at another gateway. No I/O.

Readers are only woken; each takes from the board what it hasn't had, so a slow one holds nothing up and costs no
buffer, and who comes in the middle gets the text so far. All of it is bounded, and what finds no room isn't shown
while it is written: its durable event comes all the same.
"""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.streaming import DeltaFrame

MAX_MESSAGE_CHARACTERS = 100_000
MAX_CHARACTERS = 20_000_000  # on the whole board
MAX_MESSAGES = 5_000
MAX_OVER = 20_000
SILENT_SECONDS = 90.0  # of another gateway's message; they tell theirs again sooner
DURABLE = 2**62  # an attempt above all attempts

Key: TypeAlias = tuple[str, str]
"""A run and a message of it."""

_generations = itertools.count(1)


@dataclass(eq=False, slots=True)
class Writing:
    """A message that is being written.

    `subject`: of the session's app token; None: there is none.
    `attempt`: of the call that says it; a later one begins the message anew.
    `is_own`: by a call of this gateway.
    `generation`: another one each time that the text begins anew.
    """

    session_id: str
    key: Key
    subject: str | None
    attempt: int
    is_own: bool
    generation: int = field(default_factory=lambda: next(_generations))
    length: int = 0
    is_full: bool = False
    touched: float = field(default_factory=time.monotonic)
    _whole: str = ""
    _pieces: list[str] = field(default_factory=list)
    _framed: tuple[int, int, bytes] = (-1, -1, b"")

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self.length += len(text)
        self.touched = time.monotonic()

    def since(self, offset: int) -> str:
        if self._pieces:
            self._whole += "".join(self._pieces)
            self._pieces.clear()
        return self._whole[offset:]

    def frame(self, offset: int) -> bytes:
        """What came after `offset`, as a server-sent event; made once for all who have read as far."""
        if self._framed[:2] != (offset, self.length):
            run_id, message_id = self.key
            delta = DeltaFrame(
                schema_version=SCHEMA_VERSION,
                type="delta",
                session_id=self.session_id,
                run_id=run_id,
                message_id=message_id,
                offset=offset,
                text=self.since(offset),
            )
            self._framed = (offset, self.length, b"event: delta\ndata: %b\n\n" % codec.encode(delta))
        return self._framed[2]


@dataclass(eq=False, slots=True)
class Shown:
    """How far one reader is: of each message its generation and length."""

    messages: dict[Key, tuple[int, int]] = field(default_factory=dict)


class Board:
    """`on_written`, `on_over`: called with a message of ours that has more text, or is off the board.

    `on_change`: called with the session of any text that readers are to see.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, dict[Key, Writing]] = {}
        self._over: OrderedDict[Key, int] = OrderedDict()  # → the attempt that it was over in
        self._messages = self._characters = 0
        self.on_change: Callable[[str], None] = lambda _session_id: None
        self.on_written: Callable[[Writing], None] = lambda _writing: None
        self.on_over: Callable[[Writing], None] = lambda _writing: None

    def begin(self, session_id: str, key: Key, subject: str | None, attempt: int) -> Writing | None:
        """A message of ours; begun anew where an earlier attempt had begun it. None: it isn't to be shown."""
        return self._begin(session_id, key, subject, attempt, is_own=True)

    def add(self, writing: Writing, text: str) -> None:
        """The next piece of a message of ours."""
        if self._at(writing.session_id, writing.key) is writing and self._add(writing, text):
            self.on_written(writing)

    def take(self, session_id: str, key: Key, subject: str | None, attempt: int, offset: int, text: str) -> bool:
        """A piece that another gateway wrote. False: what is before it is missing."""
        writing = self._at(session_id, key)
        if attempt <= self._over.get(key, 0) or (writing is not None and attempt < writing.attempt):
            return True
        if writing is None or writing.attempt < attempt:
            if offset > 0:
                return False
            writing = self._begin(session_id, key, subject, attempt, is_own=False)
        if writing is None or writing.is_own or writing.is_full:
            return True
        if offset > writing.length:
            return False
        writing.touched = time.monotonic()
        self._add(writing, text[writing.length - offset :])
        return True

    def end(self, session_id: str, key: Key, attempt: int) -> None:
        """The message is finished, or given up, in this attempt: nothing more of it is shown."""
        if attempt > self._over.get(key, 0):
            self._over[key] = attempt
            self._over.move_to_end(key)
            if len(self._over) > MAX_OVER:
                self._over.popitem(last=False)
        writing = self._at(session_id, key)
        if writing is not None and writing.attempt <= attempt:
            self._drop(writing)

    def news(self, session_id: str, subject: str | None, shown: Shown) -> bytes:
        """What a reader hasn't seen, as server-sent events. `subject`: whose sessions it may see; None: all."""
        messages = self._sessions.get(session_id)
        if messages is None:
            shown.messages.clear()
            return b""
        frames: list[bytes] = []
        now: dict[Key, tuple[int, int]] = {}
        for key, writing in messages.items():
            if subject not in (None, writing.subject):
                continue
            generation, offset = shown.messages.get(key, (0, 0))
            if generation != writing.generation:
                offset = 0
            if writing.length > offset:
                frames.append(writing.frame(offset))
            now[key] = (writing.generation, writing.length)
        shown.messages = now
        return b"".join(frames)

    def own(self) -> list[Writing]:
        return [each for messages in self._sessions.values() for each in messages.values() if each.is_own]

    def forget(self, session_id: str) -> None:
        """What other gateways wrote of it: nothing more of it is heard, not even its end."""
        for writing in list(self._sessions.get(session_id, {}).values()):
            if not writing.is_own:
                self._drop(writing)

    def forget_others(self, is_followed: Callable[[str], bool]) -> None:
        for session_id in [each for each in self._sessions if not is_followed(each)]:
            self.forget(session_id)

    def drop_silent(self) -> None:
        """Forget what other gateways began and say nothing more of: they died."""
        oldest = time.monotonic() - SILENT_SECONDS
        for writing in [each for messages in self._sessions.values() for each in messages.values()]:
            if not writing.is_own and writing.touched < oldest:
                self._drop(writing)

    def _at(self, session_id: str, key: Key) -> Writing | None:
        return self._sessions.get(session_id, {}).get(key)

    def _begin(
        self, session_id: str, key: Key, subject: str | None, attempt: int, *, is_own: bool
    ) -> Writing | None:
        before = self._at(session_id, key)
        if attempt <= self._over.get(key, 0) or (before is not None and before.attempt > attempt):
            return None
        if before is not None:
            self._drop(before)
        if self._messages >= MAX_MESSAGES:
            return None
        writing = Writing(session_id, key, subject, attempt, is_own)
        self._sessions.setdefault(session_id, {})[key] = writing
        self._messages += 1
        return writing

    def _add(self, writing: Writing, text: str) -> bool:
        if not text or writing.is_full:
            return False
        if writing.length + len(text) > MAX_MESSAGE_CHARACTERS or self._characters + len(text) > MAX_CHARACTERS:
            writing.is_full = True  # for good: what comes later would leave a hole
            return False
        writing.add(text)
        self._characters += len(text)
        self.on_change(writing.session_id)
        return True

    def _drop(self, writing: Writing) -> None:
        messages = self._sessions[writing.session_id]
        del messages[writing.key]
        if not messages:
            del self._sessions[writing.session_id]
        self._messages -= 1
        self._characters -= writing.length
        if writing.is_own:
            self.on_over(writing)
