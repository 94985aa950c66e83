"""When a person unfollows, what they said and heard is deleted: here, at the gateway, and among the media.

The timelines keep their events' numbers, kinds and times, which other readers count on, without what was said.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from uniassist.adapter_wechat.media_store import MediaStore
from uniassist.adapter_wechat.reader import forget_streams
from uniassist.store import wechat as store
from uniassist.store.pool import Pool

log = structlog.get_logger()


@dataclass(frozen=True)
class Erasure:
    pool: Pool
    redis: Redis
    stream_prefix: str
    files: MediaStore

    async def erase(self, openid: str) -> None:
        """Safe to repeat."""
        erased = await store.erase(self.pool, openid)
        await self.files.remove(erased.media)
        await forget_streams(self.redis, self.stream_prefix, erased.session_ids)
        log.info("a person left; what was theirs is deleted", sessions=len(erased.session_ids))
