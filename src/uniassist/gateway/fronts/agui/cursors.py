"""Server-sent events whose every id can be gone on from. Pure.

`12` is the id of the event that completes what the timeline's event 12 is told as: the reader has all up to it.
Whatever comes before 13 is complete, pieces of a message and the first of several events, is `12.1`, `12.2` and so
on; a reader who goes on from one of those has all up to 12 for certain, and is told the rest anew. Over all
connections of a reader the ids grow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uniassist.contracts import codec
from uniassist.errors import InvalidRequest

_ID = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?")


@dataclass
class Cursor:
    """`seq`: the reader has the timeline's events up to it. `part`: so many events were told since."""

    seq: int
    part: int = 0

    @classmethod
    def read(cls, event_id: str, *, at: str) -> Cursor:
        """InvalidRequest; `at`: where the id stood."""
        found = _ID.fullmatch(event_id)
        if found is None:
            raise InvalidRequest(f"{at}: expected the id of an event")
        return cls(int(found[1]), int(found[2] or 0))

    def frames(self, events: Sequence[dict[str, Any]], seq: int | None = None) -> bytes:
        """`seq`: of the timeline's event that they tell, which the last of them completes; None: of none."""
        told, last = list[bytes](), len(events) - 1
        for number, event in enumerate(events):
            if seq is not None and number == last:
                event_id = b"%d" % seq
            else:
                self.part += 1
                event_id = b"%d.%d" % (self.seq, self.part)
            told.append(b"id: %b\ndata: %b\n\n" % (event_id, codec.encode(event)))
        if seq is not None and seq > self.seq:
            self.seq, self.part = seq, 0
        return b"".join(told)
