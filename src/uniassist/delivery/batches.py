"""How much goes into one call: bounded in events and in bytes, whatever the events weigh."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence

from uniassist.delivery.isolation import is_of_a_row, reason_of
from uniassist.errors import Cut, Rejected
from uniassist.streams.append import Appender, Entry, EpochChanged
from uniassist.streams.epoch import Epoch

CALL_BYTES = 8 * 1024 * 1024
FIRST_READ = 16
# As long as what is published may wait to be read, in the usual case.
HEAVY_SECONDS = 120.0


class StreamsTakeNoWrites(Exception):
    """Redis takes no event now, whichever it is; the message says why."""


class ReadSize:
    """How many entries to ask for, that what comes is bounded in bytes, though nobody knows it before.

    Few at first, then up to `most`; fewer after a read that weighed too much, and for some minutes from when
    something heavy is about to be published.
    """

    def __init__(self, most: int, *, limit_bytes: int = 2 * CALL_BYTES) -> None:
        self._most = most
        self._limit_bytes = limit_bytes
        self._now = min(most, FIRST_READ)
        self._heaviest = self._heaviest_before = 1
        self._since = time.monotonic()

    @property
    def now(self) -> int:
        heaviest = max(self._heaviest, self._heaviest_before)
        return max(1, min(self._now, self._limit_bytes // heaviest))

    def saw(self, count: int, weight_bytes: int) -> None:
        if weight_bytes > self._limit_bytes:
            self._now = max(1, min(self._now, count) // 2)
        elif weight_bytes < self._limit_bytes // 4:
            self._now = min(self._most, self._now * 2)

    def expect(self, heaviest_bytes: int) -> None:
        """Entries, the heaviest of this weight, will be on the stream."""
        now = time.monotonic()
        if now - self._since > HEAVY_SECONDS:
            self._heaviest_before, self._heaviest, self._since = self._heaviest, 1, now
        self._heaviest = max(self._heaviest, heaviest_bytes)


async def append_all(appender: Appender, entries: Sequence[Entry], epoch: Epoch) -> list[str]:
    """Appender.append in calls of bounded size, with its outcomes.

    A call that fails as a whole, or has the connection cut, is halved until the entry that breaks it is alone, as
    long as the server takes calls without entries. After an entry that failed, later ones of its session are
    'held', also in later calls; after one that the global stream refused, all are.
    """
    outcomes = ["held"] * len(entries)
    failed: set[str] = set()
    parts = deque(_parts(entries))
    while parts:  # ends: a part is answered, or halved
        part = [at for at in parts.popleft() if entries[at].session_id not in failed]
        if not part:
            continue
        try:
            answers = await appender.append([entries[at] for at in part], epoch)
        except Exception as error:
            if not _may_be_an_entrys(error):
                raise
            await _check_without_entries(appender, epoch)
            if len(part) > 1:
                middle = len(part) // 2
                parts.extendleft((part[middle:], part[:middle]))
                continue
            answers = [f"error: {reason_of(_said(error))}"]
        for at, answer in zip(part, answers, strict=True):
            outcomes[at] = answer
            if answer.startswith("error"):
                failed.add(entries[at].session_id)
            elif answer.startswith("stopped"):
                return outcomes
    return outcomes


def _may_be_an_entrys(error: Exception) -> bool:
    """A server drops the connection of who sends more than it takes at once, often without a word."""
    return isinstance(error, Cut) or (is_of_a_row(error) and not isinstance(error, EpochChanged))


async def _check_without_entries(appender: Appender, epoch: Epoch) -> None:
    """Raises what keeps every entry from the streams."""
    try:
        await appender.append([], epoch)
    except Rejected as error:
        raise StreamsTakeNoWrites(error.said) from error


def _said(error: Exception) -> str:
    if isinstance(error, Cut):
        return f"the connection was cut while this event alone was sent ({error.said or error.reason})"
    return error.said if isinstance(error, Rejected) else f"{type(error).__name__}: {error}"


def _parts(entries: Sequence[Entry]) -> Iterator[list[int]]:
    part: list[int] = []
    weight_bytes = 0
    for at, entry in enumerate(entries):
        weight_bytes += len(entry.payload)
        if part and weight_bytes > CALL_BYTES:
            yield part
            part, weight_bytes = [], len(entry.payload)
        part.append(at)
    if part:
        yield part
