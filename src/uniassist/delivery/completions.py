"""What becomes of published events: consumed when the group has seen them, delivered when that takes longer.

The one writer of both states in a process. Confirmations gather while a write is under way and go into the next
one, so it neither lingers when idle nor writes row by row under load. An entry is acknowledged after its row's
commit, never before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from uniassist.delivery.figures import LAG_BOUNDS, Figures
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.pool import Pool
from uniassist.streams.group import Group, Read
from uniassist.tracing import NO_SPANS, Spans

log = structlog.get_logger()

# A confirmation normally takes milliseconds; only where it doesn't is `delivered` worth a write of its own.
UNCONFIRMED_SECONDS = 0.5
MAX_BATCH = 2000


@dataclass(frozen=True)
class _Published:
    row_id: int
    epoch: str
    at: float


class Completions:
    """`published` by the relay, `seen` by the consumer, each of which waits for room before it brings more."""

    def __init__(
        self, pool: Pool, group: Group, figures: Figures, *, worker: str, bound: int, spans: Spans = NO_SPANS
    ) -> None:
        self._pool = pool
        self._group = group
        self._figures = figures
        self._worker = worker
        self._bound = bound
        self._spans = spans
        self._awaiting: dict[str, _Published] = {}
        self._seen: list[Read] = []
        self._may_publish = asyncio.Event()
        self._may_read = asyncio.Event()
        self._writing = asyncio.Lock()
        self.loop = Loop("complete", self._write_once)
        self._note_room()

    def published(self, rows: Sequence[tuple[str, int]], epoch: str) -> None:
        """(event id, row id) of what is on the streams now; `epoch` as it was before the append."""
        now = time.monotonic()
        for event_id, row_id in rows:
            self._awaiting[event_id] = _Published(row_id, epoch, now)
        self._figures.awaiting.set(len(self._awaiting))
        self._note_room()
        self.loop.wake()

    def seen(self, entries: Sequence[Read]) -> None:
        self._seen += entries
        self._note_room()
        self.loop.wake()

    async def room_to_publish(self) -> None:
        """Until fewer than the bound are unconfirmed."""
        await self._may_publish.wait()

    async def room_to_read(self) -> None:
        """Until fewer than the bound are seen and unwritten; what is unconfirmed only gets fewer by reading."""
        await self._may_read.wait()

    def forget(self) -> None:
        """A new epoch: what was published in the old one is claimed and published again."""
        self._awaiting.clear()
        self._note_room()

    async def settle(self) -> None:
        """Write down now all that is published: before shards are given away."""
        async with self._writing:
            await self._write_seen()
            await self._write_delivered(published_before=time.monotonic())

    async def _write_once(self) -> float:
        async with self._writing:
            await self._write_seen()
            await self._write_delivered(published_before=time.monotonic() - UNCONFIRMED_SECONDS)
        if self._seen:
            return 0.0
        return UNCONFIRMED_SECONDS / 2 if self._awaiting else 60.0

    async def _write_seen(self) -> None:
        batch = self._seen[:MAX_BATCH]
        if not batch:
            return
        began_ns = time.time_ns()
        known, unknown = list[int](), list[str]()
        for entry in batch:
            if entry.event_id is None:
                self._figures.foreign_entries.inc()
            elif (published := self._awaiting.get(entry.event_id)) is not None:
                known.append(published.row_id)
            else:
                unknown.append(entry.event_id)
        if unknown:
            known += await store.ids_of(self._pool, unknown)
        if known:
            lags = await store.consume(
                self._pool, list(set(known)), consumer=self._group.consumer, bounds=LAG_BOUNDS
            )
            self._figures.saw_consumed(lags)
        # Only now, after the commit: a crash before this line repeats it, one after it has nothing to repeat.
        del self._seen[: len(batch)]
        for entry in batch:
            if entry.event_id is not None:
                self._awaiting.pop(entry.event_id, None)
        self._figures.awaiting.set(len(self._awaiting))
        self._note_room()
        await self._group.acknowledge([entry.entry_id for entry in batch])
        if self._spans.recording:
            attributes = {"messaging.system": "redis", "messaging.destination.name": self._group.key}
            traces = [entry.traceparent for entry in batch]
            self._spans.note("consume", "consumer", traces, began_ns=began_ns, attributes=attributes)

    async def _write_delivered(self, *, published_before: float) -> None:
        late: dict[str, list[int]] = {}
        events: list[str] = []
        for event_id, published in self._awaiting.items():  # in the order of their publishing
            if published.at > published_before or len(events) >= MAX_BATCH:
                break
            late.setdefault(published.epoch, []).append(published.row_id)
            events.append(event_id)
        for epoch, ids in late.items():
            await store.deliver(self._pool, self._worker, ids, epoch=epoch)
        for event_id in events:
            self._awaiting.pop(event_id, None)
        self._note_room()

    def _note_room(self) -> None:
        for room, taken in ((self._may_publish, len(self._awaiting)), (self._may_read, len(self._seen))):
            if taken < self._bound:
                room.set()
            else:
                room.clear()
