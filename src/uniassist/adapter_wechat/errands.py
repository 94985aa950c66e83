"""The two things that people hand over: a message, and a choice from a menu."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from uniassist.adapter_wechat.gateway import Gateway
from uniassist.adapter_wechat.inputs import trace_id, user_id
from uniassist.adapter_wechat.media import Media
from uniassist.adapter_wechat.menus import Chosen
from uniassist.adapter_wechat.outage import OUTAGE
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import IngestAck, UnifiedUserInput, UserInteraction
from uniassist.store import wechat as store
from uniassist.store.pool import Pool

log = structlog.get_logger()

_LOOK_SECONDS = 0.15


@dataclass(frozen=True)
class Message:
    """`media` None: what isn't text stays with the platform."""

    gateway: Gateway
    media: Media | None
    input: UnifiedUserInput

    @property
    def trace_id(self) -> str:
        return self.input.trace_id

    @property
    def openid(self) -> str:
        assert self.input.channel is not None, "it came through one"
        return self.input.channel.id

    async def hand_over(self, deadline: float) -> IngestAck | None:
        message = self.input
        if self.media is not None:
            try:
                message = await self.media.attach(message)
            except OUTAGE as error:
                log.error("media could not be noted", traceId=self.trace_id, reason=repr(error))
        return await self.gateway.ingest(message, deadline)

    async def finish(self, ack: IngestAck | None, deadline: float) -> bool:
        assert ack is not None, "an input is acknowledged"
        return await self.gateway.finished(ack, deadline)


@dataclass(frozen=True)
class Choice:
    """`message_id` is of the push whose number it was: it makes the choice one, wherever it is pushed again."""

    gateway: Gateway
    pool: Pool
    openid: str
    message_id: str
    chosen: Chosen

    @property
    def trace_id(self) -> str:
        return trace_id(self.openid, self.message_id)

    async def hand_over(self, deadline: float) -> IngestAck | None:
        choice = self.chosen.choice
        interaction = UserInteraction(
            schema_version=SCHEMA_VERSION,
            trace_id=self.trace_id,
            session_id=choice.session_id,
            user_id=user_id(self.openid),
            provider_id=choice.provider_id,
            run_id=choice.run_id,
            action_id=choice.action_id,
            payload=self.chosen.payload,
            timestamp_ms=int(time.time() * 1000),
        )
        await self.gateway.interact(
            interaction,
            nonce=f"choice-{self.trace_id}",
            was_taken=lambda: store.has_interacted(self.pool, self.openid, self.trace_id),
            deadline=deadline,
        )
        return None

    async def finish(self, ack: IngestAck | None, deadline: float) -> bool:
        """No event says that an interaction is done with; its answers come in one commit, so the first tells."""
        loop = asyncio.get_running_loop()
        while not await store.is_answered(self.pool, self.openid, self.trace_id):
            if loop.time() + _LOOK_SECONDS >= deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True
