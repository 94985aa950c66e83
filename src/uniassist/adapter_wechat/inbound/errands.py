"""The two errands: a message is handed over to the gateway, or a choice from a menu."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from uniassist.adapter_wechat.gateway_client import GatewayClient
from uniassist.adapter_wechat.identities import trace_id, user_id
from uniassist.adapter_wechat.media.fetching import Media
from uniassist.adapter_wechat.rendering.menu_answers import Chosen
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import IngestAck, UnifiedUserInput, UserInteraction
from uniassist.errors import ServerFault
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import people as store

log = structlog.get_logger()

_LOOK_SECONDS = 0.15


@dataclass(frozen=True)
class MessageErrand:
    """A message. media: None leaves what isn't text with the platform."""

    gateway: GatewayClient
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
            except ServerFault as error:
                log.error("media could not be noted", traceId=self.trace_id, reason=repr(error))
        return await self.gateway.ingest(message, deadline)

    async def finish(self, ack: IngestAck | None, deadline: float) -> bool:
        assert ack is not None, "an input is acknowledged"
        return await self.gateway.finished(ack, deadline)


@dataclass(frozen=True)
class ChoiceErrand:
    """A choice from a menu.

    message_id: of the message that chose. It makes all pushes of that message one choice, on any instance.
    written_at_ms: when it was written, in Unix milliseconds.
    """

    gateway: GatewayClient
    pool: Pool
    openid: str
    message_id: str
    chosen: Chosen
    written_at_ms: int

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
            timestamp_ms=self.written_at_ms,
        )
        await self.gateway.interact(
            interaction,
            nonce=f"choice-{self.trace_id}",
            was_taken=lambda: store.has_interacted(self.pool, self.openid, self.trace_id),
            deadline=deadline,
        )
        return None

    async def finish(self, ack: IngestAck | None, deadline: float) -> bool:
        """No event says that an interaction is answered. Its answers come in one commit, so the first one tells."""
        loop = asyncio.get_running_loop()
        while not await store.is_answered(self.pool, self.openid, self.trace_id):
            if loop.time() + _LOOK_SECONDS >= deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True
