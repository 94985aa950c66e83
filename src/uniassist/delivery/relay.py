"""The relay: claims events of its shards, appends them to the streams, in the order of each session.

While Redis or Postgres is away nothing is claimed and no attempt is spent. Whenever an outcome is unknown (a
connection broke, another epoch began) the relay forgets what it holds and settles: its rows are pending again, and
what is on the streams already is recognised there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import structlog

from uniassist.delivery import envelope
from uniassist.delivery.batches import StreamsTakeNoWrites, append_all
from uniassist.delivery.completions import Completions
from uniassist.delivery.consumer import Consumer
from uniassist.delivery.envelope import Keys, Undeliverable
from uniassist.delivery.failures import Failures
from uniassist.delivery.giving_back import GivingBack
from uniassist.delivery.isolation import is_of_a_row, one_by_one_if_need_be
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.delivery.shard_leases import ShardLeases
from uniassist.delivery.stream_owner import StreamOwner
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.delivery import Claimed, Heartbeat
from uniassist.store.server.pool import Pool
from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender, Entry, EpochChanged
from uniassist.streams.client import Redis
from uniassist.streams.epoch import Epoch
from uniassist.streams.outage import is_outage_code
from uniassist.tracing import NO_SPANS, Spans

log = structlog.get_logger()

IDLE_SECONDS = 60.0  # the heartbeat wakes it when something waits
HALF_FULL_BYTES = store.CLAIM_BYTES // 2
# While a row can't be read or written: few at a time, for each is looked at.
CAREFUL_BATCH = 16


class Relay:
    """One loop: only it claims, publishes and gives shards away, so none of these overtakes another."""

    def __init__(
        self,
        pool: Pool,
        redis: Redis,
        appender: Appender,
        completions: Completions,
        consumer: Consumer,
        leases: ShardLeases,
        owner: StreamOwner,
        failures: Failures,
        giving_back: GivingBack,
        metrics: DeliveryMetrics,
        *,
        worker: str,
        keys: Keys,
        batch_size: int,
        spans: Spans = NO_SPANS,
    ) -> None:
        self._pool = pool
        self._redis = redis
        self._appender = appender
        self._completions = completions
        self._consumer = consumer
        self._leases = leases
        self._owner = owner
        self._failures = failures
        self._giving_back = giving_back
        self._metrics = metrics
        self._worker = worker
        self._keys = keys
        self._batch_size = batch_size
        self._spans = spans
        self._epoch: Epoch | None = None
        self._known: str | None = None
        self._ahead: list[Claimed] = []
        self.loop = Loop("relay", self._relay_once)

    def saw_heartbeat(self, found: Heartbeat) -> None:
        if (
            found.pending
            or found.due
            or found.set_back
            or self._leases.surplus
            or self._ahead
            or self._epoch is None
        ):
            self.loop.wake()

    def saw_epoch(self, found: Epoch | None) -> None:
        """What the probe sees: another epoch than the one published in means to settle first."""
        if self._epoch is not None and found != self._epoch:
            log.warning(
                "Redis began a new epoch", data_lost=found is None or found.sentinel != self._epoch.sentinel
            )
            self._epoch = None
            self.loop.wake()

    def settle_anew(self) -> None:
        """Others have settled shards of this worker's in another epoch than it knows."""
        self._epoch = None
        self.loop.wake()

    async def give_away(self, shards: list[int] | None) -> None:
        """Write down what is published, give the shards back (None: all, the worker leaves and its loop ended)."""
        await self._let_go()
        await self._completions.write_out()
        await store.leave(self._pool, self._worker, shards)
        self._leases.gave(shards)
        log.info("gave shards away", shards="all" if shards is None else len(shards))

    async def _relay_once(self) -> float:
        try:
            if self._leases.surplus:
                await self.give_away(self._leases.surplus)
            if not self._leases.may_publish:
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
        last = await store.last_epoch(self._pool, self._leases.among)
        found = await epochs.begin(
            self._redis,
            self._keys.global_key,
            group=self._consumer.group_name,
            known=last,
            database=await self._owner.database(),
        )
        await self._consumer.begin()
        self._completions.forget()
        self._ahead = []  # claimed in the epoch before; what goes back to pending isn't ours any more
        self._leases.fenced(await store.fence(self._pool, self._worker))
        returned, settled = 0, dict[int, int]()
        # Again with shards that a heartbeat took meanwhile: it may not have seen them, nor their rescue the epoch.
        while not self._leases.held.items() <= settled.items():  # ends: there are 32, and few workers
            settled = dict(self._leases.held)
            returned += await self._giving_back.settle(settled, epoch=found.name)
            self._leases.epoch = found.name
        if self._known is not None and self._known != found.name:
            self._metrics.reconciliations.inc()
            self._metrics.republished.inc(returned)
            log.warning("reconciled with the new epoch", returned_to_pending=returned)
        self._known = found.name
        return found

    async def _claim(self, epoch: Epoch) -> list[Claimed]:
        try:
            return await store.claim(
                self._pool,
                self._worker,
                self._leases.held,
                epoch=epoch.name,
                limit=self._batch_size,
                aside=self._giving_back.aside.ids,
                set_back=self._leases.set_back,
            )
        except Exception as error:
            if not is_of_a_row(error):
                raise
        return await self._read(await self._claim_carefully(epoch))

    async def _claim_carefully(self, epoch: Epoch) -> list[Claimed]:
        """Few, without bodies: not a row that can't be written, nor what comes after it in its session."""
        held = self._leases.held
        sessions = dict(
            await store.claimable(
                self._pool,
                self._worker,
                held,
                epoch=epoch.name,
                limit=CAREFUL_BATCH,
                aside=self._giving_back.aside.ids,
                set_back=self._leases.set_back,
            )
        )

        async def claim(part: Sequence[int]) -> list[Claimed]:
            return await store.claim_these(self._pool, self._worker, held, part, epoch=epoch.name)

        claimed, refused = await one_by_one_if_need_be(sorted(sessions), claim)
        for row_id, error in refused:
            await self._giving_back.give_up_claiming(held, row_id, error)
        broken = {sessions[row_id] for row_id, _ in refused}
        return await self._without(broken, [row for part in claimed for row in part])

    async def _read(self, rows: Sequence[Claimed]) -> list[Claimed]:
        """With their bodies; a row that can't be read fails alone."""
        read, unreadable = await one_by_one_if_need_be(rows, partial(store.with_bodies, self._pool))
        await self._failures.write(
            [self._failures.of(row.id, error, attempts=row.attempts) for row, error in unreadable]
        )
        broken = {row.session_id for row, _ in unreadable}
        return await self._without(broken, [row for part in read for row in part])

    async def _without(self, broken: set[str], rows: Sequence[Claimed]) -> list[Claimed]:
        """Those of other sessions; events of the broken ones wait again."""
        await self._release([row for row in rows if row.session_id in broken])
        return [row for row in rows if row.session_id not in broken]

    async def _publish_claiming_ahead(self, batch: list[Claimed], epoch: Epoch) -> None:
        # A full batch means that more waits: Postgres looks for it while Redis takes this one.
        is_full = len(batch) >= self._batch_size or sum(row.body_bytes or 0 for row in batch) > HALF_FULL_BYTES
        claiming = asyncio.create_task(self._claim(epoch)) if is_full else None
        try:
            broken = await self._publish(batch, epoch)
        finally:
            # After a failure too: a claim that commits behind the settling's back would be forgotten.
            ahead = await claiming if claiming is not None else []
        self._ahead = await self._without(broken, ahead)

    async def _publish(self, batch: Sequence[Claimed], epoch: Epoch) -> set[str]:
        """Returns the sessions that later events must not overtake."""
        if not self._leases.may_publish:
            await self._release(batch)
            return {row.session_id for row in batch}
        rows, entries, failures, broken = self._entries(batch)
        self._consumer.expect(max((len(entry.payload) for entry in entries), default=1))
        began_ns = time.time_ns()
        outcomes = await append_all(self._appender, entries, epoch)
        if self._spans.recording:
            self._note_published(rows, outcomes, began_ns)
        done: list[tuple[str, int]] = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome == "behind":
                self._note_behind(row)
            if outcome in ("published", "present", "behind"):
                done.append((row.event_id, row.id))
                continue
            broken.add(row.session_id)
            if outcome != "held":
                kind, _, reason = outcome.partition(": ")
                if kind == "stopped" or is_outage_code(reason):
                    raise StreamsTakeNoWrites(reason)
                failures.append((row, reason))
        self._completions.published(done, epoch.name)
        self._metrics.published.inc(len(done))
        self._metrics.repeated.inc(outcomes.count("present"))
        if broken:
            await self._write_failures(batch, {event_id for event_id, _ in done}, failures)
        return broken

    def _note_behind(self, row: Claimed) -> None:
        """It should not be: an event that was not on its session stream came after one with a higher seq."""
        self._metrics.out_of_order.inc()
        log.error("published behind its successors", event_id=row.event_id, session=row.session_id, seq=row.seq)

    def _note_published(self, rows: Sequence[Claimed], outcomes: Sequence[str], began_ns: int) -> None:
        done = [row.traceparent for row, outcome in zip(rows, outcomes, strict=True) if outcome == "published"]
        attributes = {"messaging.system": "redis", "messaging.destination.name": self._keys.global_key}
        self._spans.note("publish", "producer", done, began_ns=began_ns, attributes=attributes)

    def _entries(
        self, batch: Sequence[Claimed]
    ) -> tuple[list[Claimed], list[Entry], list[tuple[Claimed, object]], set[str]]:
        rows: list[Claimed] = []
        entries: list[Entry] = []
        failures: list[tuple[Claimed, object]] = []
        broken: set[str] = set()
        for row in batch:
            if row.session_id in broken:
                continue
            try:
                entries.append(envelope.entry_of(row, self._keys))
            except Undeliverable as error:
                failures.append((row, str(error)))
                broken.add(row.session_id)
            except Exception as error:  # whatever it is, it comes of this row
                failures.append((row, error))
                broken.add(row.session_id)
            else:
                rows.append(row)
        return rows, entries, failures, broken

    async def _write_failures(
        self, batch: Sequence[Claimed], done: set[str], failures: list[tuple[Claimed, object]]
    ) -> None:
        await self._failures.write(
            [self._failures.of(row.id, reason, attempts=row.attempts) for row, reason in failures]
        )
        failed = {row.id for row, _ in failures}
        await self._release([row for row in batch if row.event_id not in done and row.id not in failed])

    async def _release(self, rows: Sequence[Claimed]) -> None:
        async def release(part: Sequence[Claimed]) -> None:
            await store.release(self._pool, self._worker, [row.id for row in part])
            self._metrics.released.inc(len(part))

        _, refused = await one_by_one_if_need_be(rows, release)
        await self._failures.write(
            [self._failures.of(row.id, error, attempts=row.attempts) for row, error in refused]
        )
