"""When a person unfollows, what they said and heard is deleted here, at the gateway, and among the media.

The timelines keep their events' numbers, kinds and times, which other readers count on. What was said goes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import structlog

from uniassist.adapter_wechat.inbound.deliveries import Deliveries
from uniassist.adapter_wechat.media.storage import MediaStore, remove_left
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import erasure as wechat_erasure
from uniassist.streams.copies import forget_streams
from uniassist.streams.lane_clients import LaneClients

log = structlog.get_logger()


@dataclass(frozen=True)
class Erasure:
    pool: Pool
    clients: LaneClients
    files: MediaStore
    deliveries: Deliveries

    async def erase(self, openid: str, left_at: dt.datetime) -> None:
        """Delete everything of a person who left. Told again, or after they came back, it does nothing.

        Files that can't be removed now are left to `Retention`.
        """
        erased = await wechat_erasure.erase(self.pool, openid, left_at)
        if erased is None:
            return
        await self.deliveries.cancel(openid)
        await forget_streams(self.clients, erased.session_ids)
        try:
            await remove_left(self.pool, self.files, erased.media)
        except OSError as error:  # a TimeoutError is one
            log.warning("files of a person who left are still there", files=len(erased.media), error=repr(error))
        log.info("a person left; what was theirs is deleted", sessions=len(erased.session_ids))
