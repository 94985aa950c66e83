"""When a person unfollows, what they said and heard is deleted: here, at the gateway, and among the media.

The timelines keep their events' numbers, kinds and times, which other readers count on, without what was said.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from uniassist.adapter_wechat.deliveries import Deliveries
from uniassist.adapter_wechat.media_store import MediaStore, remove_left
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
    deliveries: Deliveries

    async def erase(self, openid: str, left_at: dt.datetime) -> None:
        """Once for each time that they leave, however often and late it is told.

        Files that can't be removed now are left to `Retention`.
        """
        erased = await store.erase(self.pool, openid, left_at)
        if erased is None:
            return
        await self.deliveries.cancel(openid)
        await forget_streams(self.redis, self.stream_prefix, erased.session_ids)
        await remove_left(self.pool, self.files, erased.media)
        log.info("a person left; what was theirs is deleted", sessions=len(erased.session_ids))
