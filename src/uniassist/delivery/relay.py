"""The relay: claims events of its shards, appends them to the streams, in the order of each session.

While Redis or Postgres is away nothing is claimed and no attempt is spent. Whenever an outcome is unknown (a
connection broke, another epoch began) the relay forgets what it holds and settles: its rows are pending again, and
what is on the streams already is recognised there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from uniassist.delivery import envelope
from uniassist.delivery.batches import BatchSize, append_all
from uniassist.delivery.completions import Completions
from uniassist.delivery.consumer import Consumer
from uniassist.delivery.envelope import Keys, Undeliverable
from uniassist.delivery.figures import Figures
from uniassist.delivery.retry import backoff_ms
from uniassist.delivery.shares import Shares
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.delivery import Beat, Claimed, Failure
from uniassist.store.pool import Pool
from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender, Entry, EpochChanged
from uniassist.streams.epoch import Epoch
from uniassist.streams.outage import is_outage_code
from uniassist.tracing import NO_SPANS, Spans

log = structlog.get_logger()

IDLE_SECONDS = 60.0  # the beat wakes it when something waits
ERROR_LENGTH = 500
# Longer than any call of ours may take: what is in processing after that was forgotten.
ROW_LEASE_SECONDS = 10.0


class Outage(Exception):
    """Redis can't take writes now."""


@dataclass(frozen=True)
class Backoff:
    base_ms: int
    max_ms: int


class Relay:
    """One loop: only it claims, publishes and gives shards away, so none of these overtakes another."""

    def __init__(
        self,
        pool: Pool,
        redis: Redis,
        appender: Appender,
        completions: Completions,
        consumer: Consumer,
        shares: Shares,
        figures: Figures,
        *,
        worker: str,
        keys: Keys,
        batch_size: int,
        backoff: Backoff,
        spans: Spans = NO_SPANS,
    ) -> None:
        self._pool = pool
        self._redis = redis
        self._appender = appender
        self._completions = completions
        self._consumer = consumer
        self._shares = shares
        self._figures = figures
        self._worker = worker
        self._keys = keys
        self._size = BatchSize(batch_size)
        self._backoff = backoff
        self._spans = spans
        self._epoch: Epoch | None = None
        self._known: str | None = None
        self._ahead: list[Claimed] = []
        self.loop = Loop("relay", self._relay_once)

    def saw_beat(self, beat: Beat) -> None:
        if beat.pending or beat.due or self._shares.surplus or self._ahead or self._epoch is None:
            self.loop.wake()

    def saw_epoch(self, found: Epoch | None) -> None:
        """What the probe sees: another epoch than the one published in means to settle first."""
        if self._epoch is not None and found != self._epoch:
            log.warning(
                "Redis began a new epoch", data_lost=found is None or found.sentinel != self._epoch.sentinel
            )
            self._epoch = None
            self.loop.wake()

    async def give_away(self, shards: list[int] | None) -> None:
        """Write down what is published, give the shards back (None: all, the worker leaves and its loop ended)."""
        await self._let_go()
        await self._completions.settle()
        await store.leave(self._pool, self._worker, shards)
        self._shares.gave(shards)
        log.info("gave shards away", shards="all" if shards is None else len(shards))

    async def _relay_once(self) -> float:
        try:
            if self._shares.surplus:
                await self.give_away(self._shares.surplus)
            if not self._shares.may_publish:
                await self._let_go()
                return IDLE_SECONDS
            await self._completions.room_to_publish()
            # The probe may forget it while this claims; the append then refuses the old one.
            epoch = self._epoch = self._epoch or await self._settle()
            batch, self._ahead = self._ahead or await self._claim(epoch), []
            if not batch:
                return IDLE_SECONDS
            await self._publish_claiming_ahead(batch, epoch)
        except EpochChanged:
            self._epoch, self._ahead = None, []
        except BaseException:
            self._epoch, self._ahead = None, []
            raise
        return 0.0

    async def _let_go(self) -> None:
        """What was claimed ahead isn't kept while nothing may be published: paused, or the lease in doubt."""
        ahead, self._ahead = self._ahead, []
        await self._release(ahead)

    async def _settle(self) -> Epoch:
        found = await epochs.begin(self._redis, self._keys.global_key, group=self._consumer.group_name)
        await self._consumer.recover()
        self._completions.forget()
        self._ahead = []  # claimed in the epoch before; what goes back to pending isn't ours any more
        self._shares.fenced(await store.fence(self._pool, self._worker))
        returned, settled = 0, dict[int, int]()
        # Again with shards that a beat took meanwhile: it may not have seen them, nor their rescue the epoch.
        while not self._shares.held.items() <= settled.items():  # ends: there are 32, and few workers
            settled = dict(self._shares.held)
            returned += await store.settle(self._pool, self._worker, epoch=str(found))
            self._shares.epoch = str(found)
        if self._known is not None and self._known != str(found):
            self._figures.reconciliations.inc()
            self._figures.republished.inc(returned)
            log.warning("reconciled with the new epoch", returned_to_pending=returned)
        self._known = str(found)
        return found

    async def _claim(self, epoch: Epoch) -> list[Claimed]:
        return await store.claim(
            self._pool,
            self._worker,
            self._shares.held,
            epoch=str(epoch),
            limit=self._size.now,
            lease_seconds=ROW_LEASE_SECONDS,
        )

    async def _publish_claiming_ahead(self, batch: list[Claimed], epoch: Epoch) -> None:
        # A full batch means that more waits: Postgres looks for it while Redis takes this one.
        is_full = len(batch) >= self._size.now
        claiming = asyncio.create_task(self._claim(epoch)) if is_full else None
        try:
            broken = await self._publish(batch, epoch)
        finally:
            # After a failure too: a claim that commits behind the settling's back would be forgotten.
            ahead = await claiming if claiming is not None else []
        held = [row for row in ahead if row.session_id in broken]
        await self._release(held)
        self._ahead = [row for row in ahead if row.session_id not in broken]

    async def _publish(self, batch: Sequence[Claimed], epoch: Epoch) -> set[str]:
        """Returns the sessions that later events must not overtake."""
        if not self._shares.may_publish:
            await self._release(batch)
            return {row.session_id for row in batch}
        rows, entries, failures, broken = self._entries(batch)
        self._size.saw(len(batch), sum(len(entry.payload) for entry in entries))
        began_ns = time.time_ns()
        outcomes = await append_all(self._appender, entries, epoch)
        if self._spans.recording:
            self._note_published(rows, outcomes, began_ns)
        done: list[tuple[str, int]] = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome in ("published", "present"):
                done.append((row.event_id, row.id))
                continue
            broken.add(row.session_id)
            if outcome != "held":
                reason = outcome.removeprefix("error: ")
                if is_outage_code(reason):
                    raise Outage(reason)
                failures.append((row, reason))
        self._completions.published(done, str(epoch))
        self._figures.published.inc(len(done))
        self._figures.repeated.inc(outcomes.count("present"))
        if broken:
            await self._write_failures(batch, {event_id for event_id, _ in done}, failures)
        return broken

    def _note_published(self, rows: Sequence[Claimed], outcomes: Sequence[str], began_ns: int) -> None:
        done = [row.traceparent for row, outcome in zip(rows, outcomes, strict=True) if outcome == "published"]
        attributes = {"messaging.system": "redis", "messaging.destination.name": self._keys.global_key}
        self._spans.note("publish", "producer", done, began_ns=began_ns, attributes=attributes)

    def _entries(
        self, batch: Sequence[Claimed]
    ) -> tuple[list[Claimed], list[Entry], list[tuple[Claimed, str]], set[str]]:
        rows: list[Claimed] = []
        entries: list[Entry] = []
        failures: list[tuple[Claimed, str]] = []
        broken: set[str] = set()
        for row in batch:
            if row.session_id in broken:
                continue
            try:
                entries.append(envelope.entry_of(row, self._keys))
            except Undeliverable as error:
                failures.append((row, str(error)))
                broken.add(row.session_id)
            else:
                rows.append(row)
        return rows, entries, failures, broken

    async def _write_failures(
        self, batch: Sequence[Claimed], done: set[str], failures: list[tuple[Claimed, str]]
    ) -> None:
        written = await store.fail(
            self._pool,
            self._worker,
            [Failure(row.id, reason[:ERROR_LENGTH], self._delay_ms(row)) for row, reason in failures],
        )
        self._figures.attempts_failed.inc(len(written))
        for record in written:
            if record["status"] == "dead_letter":
                self._figures.dead_letters.inc()
                log.error("dead letter", event=record["event_id"], attempts=record["attempts"])
        failed = {row.id for row, _ in failures}
        await self._release([row for row in batch if row.event_id not in done and row.id not in failed])

    def _delay_ms(self, row: Claimed) -> int:
        jitter = random.random()  # noqa: S311 - spreads retries, keeps no secret
        return backoff_ms(
            row.attempts + 1, base_ms=self._backoff.base_ms, max_ms=self._backoff.max_ms, jitter=jitter
        )

    async def _release(self, rows: Sequence[Claimed]) -> None:
        if rows:
            await store.release(self._pool, self._worker, [row.id for row in rows])
            self._figures.released.inc(len(rows))
