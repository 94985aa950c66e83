"""Media are deleted when they were kept for long enough, unless something is being worked on for their sender, and
when their sender left."""

from __future__ import annotations

import structlog

from uniassist.adapter_wechat.media_store import MediaStore, remove_left
from uniassist.lifecycle import Loop
from uniassist.store import wechat as store
from uniassist.store.pool import Pool

log = structlog.get_logger()

_LEASE_SECONDS = 120.0
_BATCH = 100
_PAUSE_SECONDS = 600.0


class Retention:
    """`days` 0: for ever, but for those who left.

    First the file goes, then its row: what a killed adapter leaves is found again.
    """

    def __init__(self, pool: Pool, files: MediaStore, *, days: int) -> None:
        self._pool = pool
        self._files = files
        self._days = days
        self.loop = Loop("wechat-retention", self.run_once)

    async def run_once(self) -> float:
        left = await store.left_media(self._pool, _BATCH)
        await remove_left(self._pool, self._files, left)
        if left:
            log.info("media of people who left deleted", count=len(left))
        old_count = await self._remove_old() if self._days > 0 else 0
        return 0.0 if _BATCH in (len(left), old_count) else _PAUSE_SECONDS

    async def _remove_old(self) -> int:
        old = await store.claim_old_media(self._pool, days=self._days, lease_seconds=_LEASE_SECONDS, limit=_BATCH)
        await self._files.remove([medium.name for medium in old])
        await store.forget_media(self._pool, old)
        if old:
            log.info("media deleted", count=len(old), kept_days=self._days)
        return len(old)
