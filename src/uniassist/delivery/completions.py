"""What becomes of published events: consumed when the group has seen them, delivered when that takes longer.

The one writer of both states in a process. Confirmations gather while a write is under way and go into the next
one, so it neither lingers when idle nor writes row by row under load. An entry is acknowledged after its row's
commit, never before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from uniassist.delivery.failures import Failures
from uniassist.delivery.isolation import one_by_one_if_need_be, reason_of
from uniassist.delivery.metrics import LAG_BOUNDS, DeliveryMetrics
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.server.pool import Pool
from uniassist.streams.group import Group, Read
from uniassist.tracing import NO_SPANS, Spans

log = structlog.get_logger()

# A confirmation normally takes milliseconds; only where it doesn't is `delivered` worth a write of its own.
UNCONFIRMED_SECONDS = 0.5
MAX_BATCH = 2000


class _Published(NamedTuple):
    row_id: int
    epoch: str
    at: float


class Completions:
    """`published` by the relay, `seen` by the consumer, each of which waits for room before it brings more."""

    def __init__(
        self,
        pool: Pool,
        group: Group,
        failures: Failures,
        metrics: DeliveryMetrics,
        *,
        worker: str,
        bound: int,
        spans: Spans = NO_SPANS,
    ) -> None:
        self._pool = pool
        self._group = group
        self._failures = failures
        self._metrics = metrics
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
        self._metrics.awaiting.set(len(self._awaiting))
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

    async def write_out(self) -> None:
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
        for epoch, ids in (await self._rows_seen(batch)).items():
            await self._consume(sorted(ids), epoch)
        # Only now, after the commit: a crash before this line repeats it, one after it has nothing to repeat.
        del self._seen[: len(batch)]
        for entry in batch:
            awaited = self._awaiting.get(entry.event_id) if entry.event_id is not None else None
            if entry.event_id is not None and awaited is not None and awaited.epoch == entry.epoch:
                del self._awaiting[entry.event_id]
        self._metrics.awaiting.set(len(self._awaiting))
        self._note_room()
        await self._group.acknowledge([entry.entry_id for entry in batch])
        if self._spans.recording:
            attributes = {"messaging.system": "redis", "messaging.destination.name": self._group.key}
            traces = [entry.traceparent for entry in batch]
            self._spans.note("consume", "consumer", traces, began_ns=began_ns, attributes=attributes)

    async def _consume(self, ids: Sequence[int], epoch: str) -> None:
        async def consume(part: Sequence[int]) -> None:
            lags = await store.consume(
                self._pool, part, epoch=epoch, consumer=self._group.consumer, bounds=LAG_BOUNDS
            )
            self._metrics.saw_consumed(lags)

        _, refused = await one_by_one_if_need_be(ids, consume)
        await self._fail(refused, epoch)

    async def _ids_of(self, event_ids: Sequence[str]) -> dict[str, int]:
        """An event id of another writer's entry may be one that Postgres can't hold, hence no row's."""

        async def look(part: Sequence[str]) -> dict[str, int]:
            return await store.ids_of(self._pool, part)

        found, refused = await one_by_one_if_need_be(event_ids, look)
        self._metrics.foreign_entries.inc(len(refused))
        return {event_id: row_id for part in found for event_id, row_id in part.items()}

    async def _rows_seen(self, batch: Sequence[Read]) -> dict[str, set[int]]:
        """Ids of rows, by the epoch that their entries were published in."""
        row_ids, unknown = dict[str, int](), list[str]()
        for entry in batch:
            if entry.event_id is None:
                self._metrics.foreign_entries.inc()
            elif (published := self._awaiting.get(entry.event_id)) is not None:
                row_ids[entry.event_id] = published.row_id
            else:
                unknown.append(entry.event_id)
        if unknown:
            row_ids |= await self._ids_of(unknown)
        seen: dict[str, set[int]] = {}
        for entry in batch:
            if entry.event_id in row_ids:
                seen.setdefault(entry.epoch, set()).add(row_ids[entry.event_id])
        return seen

    async def _write_delivered(self, *, published_before: float) -> None:
        late: dict[str, list[int]] = {}
        events: list[str] = []
        for event_id, published in self._awaiting.items():  # in the order of their publishing
            if published.at > published_before or len(events) >= MAX_BATCH:
                break
            late.setdefault(published.epoch, []).append(published.row_id)
            events.append(event_id)
        for epoch, ids in late.items():
            await self._deliver(ids, epoch)
        for event_id in events:
            self._awaiting.pop(event_id, None)
        self._note_room()

    async def _deliver(self, ids: Sequence[int], epoch: str) -> None:
        async def deliver(part: Sequence[int]) -> None:
            await store.deliver(self._pool, self._worker, part, epoch=epoch)

        _, refused = await one_by_one_if_need_be(ids, deliver)
        await self._fail(refused, epoch)

    async def _fail(self, refused: Sequence[tuple[int, Exception]], epoch: str) -> None:
        """They are on the streams, and are published again until their attempts are spent."""
        await self._failures.write(
            [  # how many attempts they had isn't known here: they wait for the first pause each time
                self._failures.of(row_id, f"confirming: {reason_of(error)}", attempts=0, epoch=epoch)
                for row_id, error in refused
            ]
        )

    def _note_room(self) -> None:
        for room, taken in ((self._may_publish, len(self._awaiting)), (self._may_read, len(self._seen))):
            if taken < self._bound:
                room.set()
            else:
                room.clear()
