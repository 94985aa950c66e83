"""What a kind of provider can do: be looked at, and be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.provider import ExpectsReply, InteractRequest, InvokeRequest, StaysOpen
from uniassist.gateway.providers.catalogue import Provider


@dataclass(frozen=True)
class HandOver:
    """To a provider, with what it is asked; None: with the person's own words."""

    provider_id: str
    text: str | None


@dataclass(frozen=True)
class Said:
    """What a provider answered, as far as the timeline hasn't got it yet.

    `expects`: that it expects a reply, which gives it the floor; an answer without that gives its floor back.
    `stays_open`: the run isn't over with this answer.
    `hands_over`: who is to go on, in runs of their own.
    `passes`: the text wasn't for the provider.
    """

    events: Sequence[InteractionEvent]
    expects: ExpectsReply | None = None
    hands_over: Sequence[HandOver] = ()
    stays_open: StaysOpen | None = None
    passes: bool = False


@dataclass(frozen=True)
class Asked:
    """One call.

    `request`: with this attempt's number.
    `headers`: to be sent along (traces).
    `specialists`: to whom it may be handed over.
    """

    provider: Provider
    kind: str
    request: InvokeRequest | InteractRequest
    headers: Mapping[str, str] = field(default_factory=dict)
    specialists: Sequence[Provider] = ()


class Hears(Protocol):
    """Takes what an answer says while it comes. Both raise BadAnswer for what no answer may say."""

    def delta(self, message_id: str, text: str) -> None:
        """The next piece of a message."""
        ...

    async def event(self, event: InteractionEvent) -> None:
        """A whole event: on the timeline when this returns."""
        ...


class Kind(Protocol):
    @property
    def options(self) -> type[msgspec.Struct] | None:
        """The shape of what only entries of this kind have in the providers file. None: nothing."""
        ...

    async def look(self, provider: Provider) -> str | None:
        """What is wrong with the provider, as far as can be told without a call. None: nothing."""
        ...

    async def ask(self, asked: Asked, hears: Hears) -> Said:
        """Make the call. CallFailed. What was said to `hears` isn't in the answer again."""
        ...
