"""What a push is answered with: the reply that is ready in time, else silence."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Annotated

import msgspec

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.deliveries import Deliveries, Delivery
from uniassist.adapter_wechat.inputs import input_of, text_input
from uniassist.adapter_wechat.messages import MAX_NAME_LENGTH, Push
from uniassist.adapter_wechat.plain_text import reply_text
from uniassist.contracts.base import Id, Wire
from uniassist.contracts.inputs import RunRef

REPLY_SECONDS = 4.5  # of the platform's five

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]


class EntranceMessage(Wire, kw_only=True, frozen=True):
    """A message through the unsigned test entrance; a messageId that was there before joins the first."""

    openid: _Name
    text: Annotated[str, msgspec.Meta(min_length=1)]
    message_id: _Name | None = None


class EntranceAnswer(Wire, kw_only=True, frozen=True):
    """`replyText` is what the person would see; until the runs have answered, only the acknowledgement."""

    ok: bool
    trace_id: Id
    session_id: Id
    runs: list[RunRef]
    reply_text: str


class Inbound:
    """Pushes to replies. Deadlines are the loop's time."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    async def answer_push(self, push: Push, began: float) -> str | None:
        """The text to show, None for none."""
        if push.kind == "event":
            return phrases.GREETING if push.event == "subscribe" else None
        assert push.message_id is not None, "messages have one"
        delivery = self._deliveries.join((push.openid, push.message_id), input_of(push))
        await delivery.wait(began + REPLY_SECONDS)
        if delivery.ack is None:
            # Nothing says that the message is safe; silence would look as if it were.
            return phrases.BUSY
        if push.kind != "text":
            return phrases.not_text(push.kind)
        return reply_text(delivery.answers) or None if delivery.answers is not None else None

    async def answer_entrance(self, message: EntranceMessage, began: float) -> EntranceAnswer | None:
        """None when the gateway failed."""
        delivery = self._delivery_of(message)
        await delivery.wait(began + REPLY_SECONDS)
        if delivery.ack is None:
            return None
        return EntranceAnswer(
            ok=True,
            trace_id=delivery.ack.trace_id,
            session_id=delivery.ack.session_id,
            runs=delivery.ack.runs,
            reply_text=reply_text(delivery.ack.ack_events if delivery.answers is None else delivery.answers),
        )

    def _delivery_of(self, message: EntranceMessage) -> Delivery:
        message_id = message.message_id or f"test-{uuid.uuid4().hex}"
        made = text_input(message.openid, message.text, message_id, int(time.time() * 1000))
        return self._deliveries.join((message.openid, message_id), made)


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()
