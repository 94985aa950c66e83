"""What keeps the engine small: trimming, retention, entries that vanished, consumers that are gone, the gauges."""

from __future__ import annotations

import datetime as dt
import time

import structlog
from redis.exceptions import ResponseError

from uniassist.delivery.figures import Figures
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.pool import Pool
from uniassist.streams.group import Group, is_no_group

log = structlog.get_logger()

EVERY_SECONDS = 10.0
OVERDUE_SECONDS = 20.0
IDLE_CONSUMER_MS = 60 * 60 * 1000
PRUNE_SLICE = 5000
PRUNE_EVERY_SECONDS = 60.0
REPORT_EVERY_SECONDS = 3600.0


class Upkeep:
    """Three loops, none of them urgent. `retention_hours` 0 keeps consumed rows for ever."""

    def __init__(self, pool: Pool, group: Group, figures: Figures, *, worker: str, retention_hours: int) -> None:
        self._pool = pool
        self._group = group
        self._figures = figures
        self._worker = worker
        self._retention = dt.timedelta(hours=retention_hours)
        self._prune_after = 0
        self._reported_at: dict[str, float] = {}
        self.loops = (
            Loop("trim", self._trim_once),
            Loop("look", self._look_once),
            *((Loop("retain", self._prune_once),) if retention_hours else ()),
        )

    async def _trim_once(self) -> float:
        try:
            trimmed = await self._group.trim()
            await self._group.remove_idle_consumers(idle_ms=IDLE_CONSUMER_MS)
        except ResponseError as error:
            if not is_no_group(error):
                raise
            return EVERY_SECONDS  # no stream or group yet
        self._figures.trimmed.inc(trimmed.removed)
        for name in trimmed.idle_groups:
            if time.monotonic() - self._reported_at.get(name, -REPORT_EVERY_SECONDS) >= REPORT_EVERY_SECONDS:
                self._reported_at[name] = time.monotonic()
                log.warning("group idle for 24 h, trimming no longer waits for it", group=name)
        return EVERY_SECONDS

    async def _look_once(self) -> float:
        backlog = await store.backlog(self._pool)
        self._figures.saw_backlog(dict(backlog))
        if backlog["delivered"] and await self._group.has_read_all():
            returned = await store.overdue(self._pool, self._worker, older_than_seconds=OVERDUE_SECONDS)
            if returned:
                self._figures.republished.inc(returned)
                log.warning("delivered events have no entry any more, publishing them again", events=returned)
        return EVERY_SECONDS

    async def _prune_once(self) -> float:
        deleted, after = await store.prune(
            self._pool, after_id=self._prune_after, older_than=self._retention, limit=PRUNE_SLICE
        )
        self._prune_after = after or 0
        self._figures.pruned.inc(deleted)
        return PRUNE_EVERY_SECONDS if after is None else 0.2
