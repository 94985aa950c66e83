"""What others are to be told of messages that are written here. No I/O.

Nothing is queued: what couldn't be told is on the board, and goes with the next round. A session that nobody else
hears is told of now and then only, until somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from uniassist.gateway.live.board import Writing
from uniassist.gateway.live.wire import Over, Piece

MAX_CHARACTERS = 128 * 1024  # in a round
MAX_SESSIONS = 500  # in a round: each is a command
MAX_KEPT = 10_000  # of ends, while Redis is away


@dataclass(slots=True)
class Round:
    """What is said at once: of each session its pieces and ends. `reached`: of each message up to where."""

    said: dict[str, tuple[list[Piece], list[Over]]] = field(default_factory=dict)
    reached: dict[Writing, int] = field(default_factory=dict)
    ends: int = 0

    def of(self, session_id: str) -> tuple[list[Piece], list[Over]] | None:
        """None: there is no room for another session."""
        found = self.said.get(session_id)
        if found is None and len(self.said) < MAX_SESSIONS:
            found = self.said[session_id] = ([], [])
        return found


class Telling:
    def __init__(self) -> None:
        self._own: dict[str, dict[Writing, None]] = {}
        self._told: dict[Writing, int] = {}  # how much of each others have been told
        self._written: dict[Writing, None] = {}  # of which there is more to tell
        self._later: dict[Writing, None] = {}  # the same, but nobody hears it
        self._unheard: set[str] = set()  # sessions that nobody else hears
        self._asked: set[str] = set()  # since the last round began
        self._over: list[Over] = []

    @property
    def has_news(self) -> bool:
        return bool(self._written or self._over)

    @property
    def has_unheard(self) -> bool:
        return bool(self._unheard)

    def writes(self, session_id: str) -> bool:
        return session_id in self._own

    def written(self, writing: Writing) -> bool:
        """There is more of it. Says whether it is the first news."""
        session_id = writing.session_id
        if session_id not in self._own:
            self._own[session_id] = {}
        self._own[session_id][writing] = None
        if session_id in self._unheard:
            self._later[writing] = None
            return False
        is_first = not self.has_news
        self._written[writing] = None
        return is_first

    def over(self, writing: Writing) -> None:
        self._written.pop(writing, None)
        self._later.pop(writing, None)
        of_session = self._own.get(writing.session_id, {})
        of_session.pop(writing, None)
        if not of_session:
            self._own.pop(writing.session_id, None)
            self._unheard.discard(writing.session_id)
        if self._told.pop(writing, None) is not None and len(self._over) < MAX_KEPT:
            self._over.append(Over(writing.session_id, *writing.key, writing.attempt))

    def asked(self, session_id: str) -> None:
        """Somebody hears the session, and has nothing of it yet."""
        self._asked.add(session_id)
        self._unheard.discard(session_id)
        for writing in self._own.get(session_id, ()):
            if writing in self._told:
                self._told[writing] = 0
            self._later.pop(writing, None)
            self._written[writing] = None

    def asked_for_all(self) -> None:
        for session_id in list(self._own):
            self.asked(session_id)

    def tell_all_again(self) -> None:
        """That there is more of each: who hears nothing of a message takes its writer for dead."""
        for of_session in self._own.values():
            self._written |= of_session

    def try_unheard(self) -> None:
        self._unheard.clear()
        self._written |= self._later
        self._later.clear()

    def begin(self) -> Round:
        """What others haven't been told, to the bounds of a round."""
        self._asked.clear()
        built = Round()
        for end in islice(self._over, MAX_SESSIONS):
            place = built.of(end.session_id)
            if place is None:
                break
            place[1].append(end)
            built.ends += 1
        room = MAX_CHARACTERS
        for writing in self._written:
            place = built.of(writing.session_id)
            if place is None:
                break
            offset = self._told.setdefault(writing, 0)
            text = writing.since(offset)
            place[0].append(Piece(writing.session_id, *writing.key, writing.subject, writing.attempt, offset, text))
            built.reached[writing] = offset + len(text)
            room -= len(text)
            if room <= 0:
                break
        return built

    def done(self, said: Round, *, unheard: Iterable[str]) -> None:
        """It was said; of these sessions to nobody."""
        self._unheard |= {each for each in unheard if each in self._own and each not in self._asked}
        for writing, reached in said.reached.items():
            # Else it ended meanwhile, or was asked for by one who may have heard nothing of this.
            if writing in self._told and writing.session_id not in self._asked:
                self._told[writing] = reached
                has_more = writing.length > reached
                if not has_more or writing.session_id in self._unheard:
                    self._written.pop(writing, None)
                if has_more and writing.session_id in self._unheard:
                    self._later[writing] = None
        del self._over[: said.ends]
