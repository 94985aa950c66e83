"""Reads the global stream, of each lane, with a consumer group of its own. It only says whose turn it is.

What there is to say is read from Postgres, so whatever the stream loses is found by looking there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from uniassist.adapter_wechat.outbound.account_limits import LONGEST_ACCOUNT_PAUSE_SECONDS
from uniassist.adapter_wechat.outbound.next_message import LONGEST_PAUSE_SECONDS
from uniassist.lifecycle import Loop
from uniassist.store.server import identity
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import people as store
from uniassist.streams import epoch as epochs
from uniassist.streams.client import Redis
from uniassist.streams.epoch import Epoch
from uniassist.streams.group import Group, Read
from uniassist.streams.outage import NoGroup

log = structlog.get_logger()

BLOCK_MS = 1000
_COUNT = 500
_LOOK_SECONDS = 1.0
_CLAIM_IDLE_MS = 60_000
_CLAIM_SECONDS = 30.0
_IDLE_CONSUMER_MS = 60 * 60 * 1000
SWEEP_SECONDS = 60.0
SWEEP_WITHOUT_STREAM_SECONDS = 2.0
_PRUNE_SECONDS = 600.0
_PRUNE_ROWS = 5000


class _LaneReader:
    """Marks people as due whose events are on one lane's stream. `redis`: one that may wait in blocking reads."""

    def __init__(self, pool: Pool, redis: Redis, group: Group, wake: Callable[[], None]) -> None:
        self._pool = pool
        self._redis = redis
        self._group = group
        self._wake = wake
        self._epoch: Epoch | None = None
        self._database: str | None = None
        self.is_taken = False
        self.heard_at = self._looked_at = float("-inf")
        self._reading = Loop("wechat-read", self._read_once)
        self.loops = (self._reading, Loop("wechat-claim", self._claim_once))

    async def _read_once(self) -> float:
        try:
            if not await self._has_stream():
                return 1.0
            read = partial(self._group.read_new, count=_COUNT, block_ms=BLOCK_MS)
            entries = await self._reading.unless_stopped(read)
            if entries is None:  # what was read in that moment is ours to take, for nobody else does for a minute
                entries = await self._group.read_own_pending(after=b"0", count=_COUNT)
        except NoGroup:
            self._epoch = None
            return 0.0
        self.heard_at = time.monotonic()
        await self._take(entries)
        return 0.0

    async def _has_stream(self) -> bool:
        if self._epoch is not None and time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return True
        found = await epochs.read(self._redis, self._group.key)
        self._looked_at = time.monotonic()
        if found is None or await self._is_foreign(found):
            # The worker makes the stream anew. One that is made here would hide from it that it was gone.
            self._epoch = None
            return False
        if found != self._epoch:
            await self._begin(found)
        return True

    async def _is_foreign(self, found: Epoch) -> bool:
        """Another system's stream: its adapter would miss what is read here. People are served from Postgres."""
        if found.database and self._database is None:
            self._database = await identity.of_database(self._pool)
        is_foreign = found.database not in ("", self._database)
        if is_foreign and not self.is_taken:
            log.error("the stream is another system's", owner=found.database, ours=self._database)
        self.is_taken = is_foreign
        return is_foreign

    async def _begin(self, found: Epoch) -> None:
        """Another Redis, or the same without its entries. What they would have told is looked for."""
        await self._group.ensure()
        await _sweep(self._pool)
        self._epoch = found
        self._wake()

    async def _take(self, entries: Sequence[Read]) -> None:
        event_ids = [entry.event_id for entry in entries if entry.event_id is not None]
        if event_ids and await store.mark_due(self._pool, event_ids):
            self._wake()
        await self._group.acknowledge([entry.entry_id for entry in entries])

    async def _claim_once(self) -> float:
        """Take what consumers that are gone, or this one before a restart, read and did not acknowledge."""
        if self._epoch is None:
            return 1.0
        await self._group.claim_idle(idle_ms=_CLAIM_IDLE_MS, count=_COUNT, limit=10 * _COUNT)
        after = b"0"
        while own := await self._group.read_own_pending(after=after, count=_COUNT):  # ends: ids only rise
            await self._take(own)
            after = own[-1].entry_id
        await self._group.remove_idle_consumers(idle_ms=_IDLE_CONSUMER_MS)
        return _CLAIM_SECONDS


class StreamReader:
    """Marks people as due.

    groups: of each lane, with its client of Redis, this reader's own, since it waits in blocking reads.
    wake: tells the sender that somebody is due.
    """

    def __init__(self, pool: Pool, groups: Sequence[tuple[Redis, Group]], wake: Callable[[], None]) -> None:
        self._pool = pool
        self._wake = wake
        self._lanes = [_LaneReader(pool, redis, group, wake) for redis, group in groups]
        self._sweeping = Loop("wechat-sweep", self._sweep_once)
        self._pruning = Loop("wechat-prune", self._prune_once)

    @property
    def loops(self) -> Sequence[Loop]:
        return (*(loop for lane in self._lanes for loop in lane.loops), self._sweeping, self._pruning)

    def check(self) -> None:
        """RuntimeError where the stream is another system's. Replies then go out by looking into Postgres."""
        if any(lane.is_taken for lane in self._lanes):
            raise RuntimeError("the stream is another system's: see the worker's health")

    async def _sweep_once(self) -> float:
        if await _sweep(self._pool):
            self._wake()
        long_ago = time.monotonic() - 2 * SWEEP_WITHOUT_STREAM_SECONDS
        is_heard = all(lane.heard_at > long_ago for lane in self._lanes)
        return SWEEP_SECONDS if is_heard else SWEEP_WITHOUT_STREAM_SECONDS

    async def _prune_once(self) -> float:
        await store.prune(self._pool, _PRUNE_ROWS)
        return _PRUNE_SECONDS


async def _sweep(pool: Pool) -> int:
    return await store.sweep(
        pool,
        longest_pause_seconds=LONGEST_PAUSE_SECONDS,
        longest_account_pause_seconds=LONGEST_ACCOUNT_PAUSE_SECONDS,
    )
