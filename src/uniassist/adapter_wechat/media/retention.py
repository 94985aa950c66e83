"""Deletes media that were kept for long enough, and those of people who left.

What is old is kept on while something is being worked on for its sender.
"""

from __future__ import annotations

import structlog

from uniassist.adapter_wechat.media.storage import MediaStore, remove_left
from uniassist.lifecycle import Loop
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import media as wechat_media

log = structlog.get_logger()

_LEASE_SECONDS = 120.0
_BATCH = 100
_PAUSE_SECONDS = 600.0


class Retention:
    """Deletes the file first and then its row, so that what a killed adapter leaves is found again.

    days: for how long media are kept; 0 keeps them until their sender leaves.
    """

    def __init__(self, pool: Pool, files: MediaStore, *, days: int) -> None:
        self._pool = pool
        self._files = files
        self._days = days
        self.loop = Loop("wechat-retention", self.run_once)

    async def run_once(self) -> float:
        left = await wechat_media.left_media(self._pool, _BATCH)
        await remove_left(self._pool, self._files, left)
        if left:
            log.info("media of people who left deleted", count=len(left))
        old_count = await self._remove_old() if self._days > 0 else 0
        return 0.0 if _BATCH in (len(left), old_count) else _PAUSE_SECONDS

    async def _remove_old(self) -> int:
        old = await wechat_media.claim_old_media(
            self._pool, days=self._days, lease_seconds=_LEASE_SECONDS, limit=_BATCH
        )
        await self._files.remove([medium.name for medium in old])
        await wechat_media.forget_media(self._pool, old)
        if old:
            log.info("media deleted", count=len(old), kept_days=self._days)
        return len(old)
