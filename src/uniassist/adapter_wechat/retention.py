"""Media are deleted when they were kept for long enough, unless something is being worked on for their sender."""

from __future__ import annotations

import structlog

from uniassist.adapter_wechat.media_store import MediaStore
from uniassist.lifecycle import Loop
from uniassist.store import wechat as store
from uniassist.store.pool import Pool

log = structlog.get_logger()

_LEASE_SECONDS = 120.0
_BATCH = 100
_PAUSE_SECONDS = 600.0


class Retention:
    """`days` 0: for ever. First the file goes, then its row: what a killed adapter leaves is found again."""

    def __init__(self, pool: Pool, files: MediaStore, *, days: int) -> None:
        self._pool = pool
        self._files = files
        self._days = days
        self.loop = Loop("wechat-retention", self.run_once)

    async def run_once(self) -> float:
        if self._days == 0:
            return _PAUSE_SECONDS
        old = await store.claim_old_media(self._pool, days=self._days, lease_seconds=_LEASE_SECONDS, limit=_BATCH)
        await self._files.remove([medium.name for medium in old])
        await store.forget_media(self._pool, old)
        if old:
            log.info("media deleted", count=len(old), kept_days=self._days)
        return 0.0 if len(old) == _BATCH else _PAUSE_SECONDS
