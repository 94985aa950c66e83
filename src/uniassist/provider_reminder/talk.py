"""What is being talked of. It travels as the hint of the reply that is expected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from uniassist.contracts.provider import MAX_HINT_LENGTH
from uniassist.provider_reminder.when import Draft
from uniassist.times import Length

NOTHING = Draft()
MOST_MISSES = 2
MOST_LISTED = 20


class _Note(msgspec.Struct, rename="camel", omit_defaults=True):
    ids: list[str] = []
    asks: str = ""
    matter: str = ""
    day: dt.date | None = None
    rule: str | None = None
    first: dt.date | None = None
    ahead: tuple[int, int, int] | None = None
    clock: str = ""
    verb: str = ""
    misses: int = 0


@dataclass(frozen=True)
class Talk:
    """`ids`: of the reminders that were shown or made last, in their order.

    `asks`: what was asked for: time, date, or which; empty for nothing. `draft`, `matter`: of what.
    `verb`: what is to be done once it is known which, as it was written; or `change` where the time is a new one of
    the first of `ids`. `misses`: replies in a row in which nothing was read.
    """

    ids: Sequence[str] = ()
    asks: str = ""
    matter: str = ""
    draft: Draft = NOTHING
    verb: str = ""
    misses: int = 0

    @classmethod
    def of(cls, hint: str | None) -> Talk:
        """Nothing where there is no hint, or it isn't ours."""
        try:
            note = msgspec.json.decode(hint or "", type=_Note)
        except (msgspec.MsgspecError, ValueError):
            return cls()
        ahead = Length(*note.ahead) if note.ahead is not None else None
        draft = Draft(note.day, note.rule, note.first, ahead, note.clock)
        return cls(note.ids, note.asks, note.matter, draft, note.verb, note.misses)

    def noted(self) -> str:
        draft = self.draft
        ahead = (draft.ahead.months, draft.ahead.days, draft.ahead.minutes) if draft.ahead is not None else None
        ids = list(self.ids[:MOST_LISTED])
        note = _Note(
            ids,
            self.asks,
            self.matter,
            draft.day,
            draft.rule,
            draft.first,
            ahead,
            draft.clock[:200],
            self.verb[:300],
            self.misses,
        )
        written = msgspec.json.encode(note).decode()
        if len(written) <= MAX_HINT_LENGTH:
            return written
        return replace(self, matter=self.matter[:60], verb="").noted()  # many characters that JSON escapes
