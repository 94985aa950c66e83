"""A message that is noted, and what it may be answered with."""

from __future__ import annotations

from dataclasses import dataclass

from uniassist.adapter_wechat.inbound.deliveries import Delivery
from uniassist.adapter_wechat.inbound.errands import ChoiceErrand
from uniassist.adapter_wechat.outbound import passive_reply
from uniassist.contracts.courtesies import Courtesy
from uniassist.contracts.inputs import IngestAck
from uniassist.contracts.language import Language

# Courtesies that have an answer also where a form waits. A yes is to the form.
TALK: frozenset[Courtesy | None] = frozenset(("greeting", "who", "thanks", "goodbye"))


@dataclass(frozen=True)
class Taken:
    """A message once it is noted.

    comes_again: whether the platform pushes it again if this push gets no answer.
    delivery: its errand, under way; None when the message is answered here.
    told: what it is answered with here.
    instead: what stands for the gateway's own answer, should nobody else have one; None for nothing.
    replied: what an earlier push of it was answered with, empty for silence; None when there was no such push.
    language: what the person is spoken to in.
    is_stranger: nothing tells yet what they speak.
    still_open: what waits for an answer, where the message is none; empty where nothing does.
    is_talk: a courtesy that has an answer of its own.
    tells_to_wait: whether the person is told so when nothing is ready and no push comes again.
    """

    key: str
    openid: str
    trace_id: str
    comes_again: bool
    delivery: Delivery | None
    told: str = ""
    replied: str | None = None
    tells_to_wait: bool = True
    instead: str | None = None
    language: Language = "zh"
    is_stranger: bool = False
    still_open: str = ""
    is_talk: bool = False

    @property
    def has_expired(self) -> bool:
        """Whether it is a choice that the gateway doesn't offer any more."""
        return (
            self.delivery is not None and self.delivery.refused and isinstance(self.delivery.errand, ChoiceErrand)
        )

    def instead_of(self, ack: IngestAck | None) -> str | None:
        """What stands for the gateway's own answer, where nobody else has one; None: what it says.

        A courtesy is answered, and then what is still open is said: a thank-you isn't a mistake.
        """
        if ack is None or ack.routing.fallback != "builtin_chat":
            return None
        if self.instead is None and self.is_talk and self.still_open and ack.ack_events:
            return f"{passive_reply.words_of(ack.ack_events)}\n\n{self.still_open}"
        return self.instead

    def words_after(self, ack: IngestAck | None) -> str:
        """What is said behind the answer of a chat to a courtesy: the gateway hasn't got that answer yet."""
        is_chats = ack is not None and ack.routing.fallback == "builtin_chat" and not ack.ack_events
        return self.still_open if is_chats and self.instead is None and self.is_talk else ""
