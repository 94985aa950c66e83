"""Fetches what people send besides text while the platform keeps it, and keeps it in a place of our own."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import msgspec
import structlog

from uniassist.adapter_wechat.media.storage import MediaStore, remove_left
from uniassist.adapter_wechat.metrics import ChannelMetrics
from uniassist.adapter_wechat.platform.client import MediaUnavailable, Platform
from uniassist.contracts.inputs import Attachment, UnifiedUserInput
from uniassist.lifecycle import Loop
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import media as wechat_media
from uniassist.store.wechat.media import MediumRecord

log = structlog.get_logger()

WAIT_SECONDS = 1.5  # what a push waits for a download, which goes on by itself if it takes longer
_LEASE_SECONDS = 60.0
_AT_ONCE = 4
_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class _Wanted:
    openid: str
    attachment: Attachment

    @property
    def name(self) -> str:
        """The same for the same medium, whoever fetches it."""
        person = hashlib.sha256(self.openid.encode()).hexdigest()[:24]
        medium = hashlib.sha256(self.attachment.id.encode()).hexdigest()[:32]
        return f"{person}/{medium}"


class Media:
    """Fetches media. `loop` fetches those that a push had no time for, and those that failed."""

    def __init__(self, pool: Pool, platform: Platform, files: MediaStore, metrics: ChannelMetrics) -> None:
        self._pool = pool
        self._platform = platform
        self._files = files
        self._metrics = metrics
        self._under_way: set[asyncio.Task[None]] = set()
        self.loop = Loop("wechat-media", self._run_once)

    async def attach(self, message: UnifiedUserInput) -> UnifiedUserInput:
        """The message with the places of its media. A download may still be under way when the message goes on."""
        if not message.attachments or message.channel is None:
            return message
        openid = message.channel.id
        found = [await self._attach(_Wanted(openid, each)) for each in message.attachments]
        return msgspec.structs.replace(message, attachments=found)

    async def stop(self) -> None:
        await self.loop.stop(2.0)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _attach(self, wanted: _Wanted) -> Attachment:
        media_id = wanted.attachment.id
        kind = wanted.attachment.type
        await wechat_media.add_medium(self._pool, wanted.openid, media_id, wanted.name, kind=kind)
        claimed = await wechat_media.claim_medium(self._pool, wanted.openid, media_id, lease_seconds=_LEASE_SECONDS)
        if claimed is not None:
            task = asyncio.create_task(self._fetch(claimed), name="wechat-media")
            self._under_way.add(task)
            task.add_done_callback(self._ended)
            await asyncio.wait([task], timeout=WAIT_SECONDS)
        known = await wechat_media.medium(self._pool, wanted.openid, media_id)
        if known is None or known.state == "lost":
            return wanted.attachment
        return msgspec.structs.replace(
            wanted.attachment,
            local_uri=self._files.uri(known.name),
            mime=known.mime,
            size=known.size,
            sha256=known.sha256,
        )

    async def _run_once(self) -> float:
        found = await wechat_media.claim_media(self._pool, lease_seconds=_LEASE_SECONDS, limit=_AT_ONCE)
        await asyncio.gather(*(self._fetch(medium) for medium in found))
        return 0.0 if len(found) == _AT_ONCE else _PAUSE_SECONDS

    async def _fetch(self, medium: MediumRecord) -> None:
        try:
            fetched = await self._platform.medium(medium.media_id, may_be_video=medium.kind in (None, "file"))
        except MediaUnavailable as error:
            self._metrics.media.labels("lost" if error.is_final else "failed").inc()
            log.warning("a medium could not be fetched", reason=str(error), is_final=error.is_final)
            if error.is_final:
                await wechat_media.lose_medium(self._pool, medium)
            return
        await self._files.write(medium.name, fetched.content)
        digest = hashlib.sha256(fetched.content).hexdigest()
        size = len(fetched.content)
        if not await wechat_media.store_medium(self._pool, medium, mime=fetched.mime, size=size, sha256=digest):
            # The person left meanwhile.
            await wechat_media.add_left_media(self._pool, [medium.name])
            await remove_left(self._pool, self._files, [medium.name])
            return
        self._metrics.media.labels("stored").inc()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a medium could not be kept", error=repr(error))
