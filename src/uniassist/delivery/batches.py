"""How much goes into one call: bounded in events and in bytes, whatever the events weigh."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from redis.exceptions import ResponseError

from uniassist.streams.append import Appender, Entry
from uniassist.streams.epoch import Epoch
from uniassist.streams.outage import is_outage

CALL_BYTES = 8 * 1024 * 1024


class BatchSize:
    """How many to ask for: up to `most`, fewer after a batch that weighed too much."""

    def __init__(self, most: int, *, limit_bytes: int = 2 * CALL_BYTES) -> None:
        self._most = most
        self._limit_bytes = limit_bytes
        self.now = most

    def saw(self, count: int, weight_bytes: int) -> None:
        if weight_bytes > self._limit_bytes:
            self.now = max(1, min(self.now, count) // 2)
        elif weight_bytes < self._limit_bytes // 4:
            self.now = min(self._most, self.now * 2)


async def append_all(appender: Appender, entries: Sequence[Entry], epoch: Epoch) -> list[str]:
    """Appender.append in calls of bounded size, with its outcomes.

    A call that fails as a whole is halved until the entry that breaks it is alone. After an entry that failed,
    later ones of its session are 'held', also in later calls.
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
        except ResponseError as error:
            if is_outage(error):
                raise
            if len(part) > 1:
                middle = len(part) // 2
                parts.extendleft((part[middle:], part[:middle]))
                continue
            answers = [f"error: {error}"]
        for at, answer in zip(part, answers, strict=True):
            outcomes[at] = answer
            if answer.startswith("error"):
                failed.add(entries[at].session_id)
    return outcomes


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
