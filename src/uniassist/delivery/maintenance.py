"""What keeps the engine small: trimming, retention, entries that vanished, consumers that are gone, the gauges."""

from __future__ import annotations

import datetime as dt
import time

import structlog

from uniassist.delivery.giving_back import GivingBack
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.delivery.stream_owner import StreamOwner
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.server.pool import Pool
from uniassist.streams.group import Group
from uniassist.streams.outage import NoGroup
from uniassist.streams.trimming import Trimming

log = structlog.get_logger()

EVERY_SECONDS = 10.0
OVERDUE_SECONDS = 20.0
IDLE_CONSUMER_MS = 60 * 60 * 1000
PRUNE_SLICE = 5000
PRUNE_EVERY_SECONDS = 60.0
REPORT_EVERY_SECONDS = 3600.0


class Maintenance:
    """Three loops, none of them urgent. `retention_hours` 0 keeps consumed rows for ever."""

    def __init__(
        self,
        pool: Pool,
        group: Group,
        trimming: Trimming,
        owner: StreamOwner,
        giving_back: GivingBack,
        metrics: DeliveryMetrics,
        *,
        retention_hours: int,
    ) -> None:
        self._pool = pool
        self._group = group
        self._trimming = trimming
        self._owner = owner
        self._metrics = metrics
        self._giving_back = giving_back
        self._retention = dt.timedelta(hours=retention_hours)
        self._prune_after = 0
        self._reported_at: dict[tuple[str, str], float] = {}
        self.loops = (
            Loop("trim", self._trim_once),
            Loop("look", self._look_once),
            *((Loop("retain", self._prune_once),) if retention_hours else ()),
        )

    async def _trim_once(self) -> float:
        if not self._owner.is_ours:
            return EVERY_SECONDS
        try:
            trimmed = await self._trimming.trim()
            await self._group.remove_idle_consumers(idle_ms=IDLE_CONSUMER_MS)
        except NoGroup:
            return EVERY_SECONDS  # no stream or group yet
        self._metrics.saw_trimmed(trimmed)
        for name in trimmed.idle_groups:
            self._report("group idle for 24 h, trimming no longer waits for it", name)
        for name in trimmed.dropped_for:
            self._report("entries dropped that a group of others held for longer than the limit", name)
        return EVERY_SECONDS

    def _report(self, what: str, group: str) -> None:
        last = self._reported_at.get((what, group), -REPORT_EVERY_SECONDS)
        if time.monotonic() - last >= REPORT_EVERY_SECONDS:
            self._reported_at[what, group] = time.monotonic()
            log.warning(what, group=group)

    async def _look_once(self) -> float:
        backlog = await store.backlog(self._pool)
        self._metrics.saw_backlog(dict(backlog))
        if backlog["delivered"] and self._owner.is_ours and await self._group.has_read_all():
            returned = await self._giving_back.overdue(older_than_seconds=OVERDUE_SECONDS)
            if returned:
                self._metrics.republished.inc(returned)
                log.warning("delivered events have no entry any more, publishing them again", events=returned)
        return EVERY_SECONDS

    async def _prune_once(self) -> float:
        deleted, after = await store.prune(
            self._pool, after_id=self._prune_after, older_than=self._retention, limit=PRUNE_SLICE
        )
        self._prune_after = after or 0
        self._metrics.pruned.inc(deleted)
        return PRUNE_EVERY_SECONDS if after is None else 0.2
