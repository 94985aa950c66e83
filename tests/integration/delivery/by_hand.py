"""The engine's steps, one at a time and in an order of the test's choosing: its statements, scripts and group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, PREFIX, Outbox

from uniassist.delivery import envelope
from uniassist.delivery.engine import SESSION_STREAM_LENGTH
from uniassist.delivery.envelope import Keys
from uniassist.delivery.failures import Backoff, Failures
from uniassist.delivery.giving_back import GivingBack, Sweep
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.store import delivery as store
from uniassist.store.server.pool import Pool
from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender
from uniassist.streams.client import Redis
from uniassist.streams.epoch import Epoch
from uniassist.streams.group import Group, Read
from uniassist.streams.lanes import Layout
from uniassist.streams.wake import moved_prefix


def giving_back(pool: Pool, worker: str) -> GivingBack:
    failures = Failures(pool, DeliveryMetrics(), worker=worker, backoff=Backoff(50, 100))
    return GivingBack(pool, failures, worker=worker)


class Hand:
    """A worker that does only what it is told. `held`: its shards and their tokens."""

    def __init__(self, pool: Pool, outbox: Outbox, worker: str) -> None:
        self.pool = pool
        self.worker = worker
        self.held: dict[int, int] = {}
        self._redis = redis = Redis(connection_pool=outbox.redis.connection_pool)
        self._appender = Appender(
            redis,
            global_key=GLOBAL,
            moved_prefix=moved_prefix(""),
            session_length=SESSION_STREAM_LENGTH,
            session_expiry_seconds=7 * 24 * 3600,
        )
        self.group = Group(redis, key=GLOBAL, name=GROUP, consumer=worker)

    async def take(self, epoch: Epoch | None = None) -> Sweep:
        """All free shards, and what a former owner left in them; how much that was."""
        name = epoch.name if epoch is not None else None
        found = await store.heartbeat(
            self.pool, self.worker, lease_seconds=60, epoch=name, take=True, per_second=0.0
        )
        self.held = found.kept | found.taken
        return await self.rescue(epoch=name)

    async def rescue(self, *, epoch: str | None) -> Sweep:
        sweep = giving_back(self.pool, self.worker).sweep("rescue", self.held, epoch=epoch)
        while not await sweep.step():
            pass
        return sweep

    async def settle(self) -> Epoch:
        known = await store.last_epoch(self.pool)
        epoch = await epochs.begin(self._redis, GLOBAL, group=GROUP, known=known)
        await self.group.ensure()
        self.held |= await store.fence(self.pool, self.worker)
        await giving_back(self.pool, self.worker).settle(self.held, epoch=epoch.name)
        return epoch

    async def publish(self, epoch: Epoch, limit: int = 50) -> list[str]:
        """Claimed and appended; the outcomes."""
        rows = await store.claim(self.pool, self.worker, self.held, epoch=epoch.name, limit=limit)
        if not rows:
            return []
        layout = Layout(PREFIX, GLOBAL)
        keys = Keys(layout, layout.lanes[0])
        return await self._appender.append([envelope.entry_of(row, keys) for row in rows], epoch)

    async def read(self, count: int = 10) -> list[Read]:
        return await self.group.read_new(count=count, block_ms=100)

    async def confirm(self, entries: Sequence[Read]) -> int:
        """How many rows the entries confirmed; they are acknowledged then."""
        confirmed = 0
        for entry in entries:
            assert entry.event_id is not None
            ids = await store.ids_of(self.pool, [entry.event_id])
            lags = await store.consume(
                self.pool, ids.values(), epoch=entry.epoch, consumer=self.worker, bounds=[1.0]
            )
            confirmed += lags.events
        await self.group.acknowledge([entry.entry_id for entry in entries])
        return confirmed


@asynccontextmanager
async def worker_by_hand(url: str, outbox: Outbox, name: str = "w") -> AsyncIterator[Hand]:
    pool = await store.create_pool(url)
    try:
        yield Hand(pool, outbox, name)
    finally:
        await pool.close()
