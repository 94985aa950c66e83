"""What providers and channels report later: each item accepted or rejected by itself, and once."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from uniassist.contracts import codec
from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.contracts.provider import (
    EventRejection,
    LateDeliveryEvent,
    LateDomainEvent,
    LateEvent,
    LateInteraction,
    LateRunEnd,
    ProviderEventsRequest,
    ProviderEventsResponse,
)
from uniassist.contracts.timeline import DomainEventPayload
from uniassist.errors import InvalidRequest, SessionNotFound, Unavailable, UniAssistError
from uniassist.gateway.turns import long_runs
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.ids import new_id
from uniassist.gateway.turns.long_runs import Names
from uniassist.gateway.turns.turn import Idempotency, Turn
from uniassist.store.ledger import RunFacts

MAX_ITEMS = 1000


class Sessions(Protocol):
    """What is known of sessions before anything is written to them."""

    async def latest(self, user_id: str, provider_id: str) -> str | None:
        """The user's latest of those that the provider served; None: there is none."""
        ...

    async def is_served(self, session_id: str, provider_id: str) -> bool:
        """Whether it ever had a run of the provider's."""
        ...


async def accept(
    request: ProviderEventsRequest,
    *,
    submit: Callable[[Turn], Awaitable[bytes]],
    sessions: Sessions,
    is_shared: bool,
    names: Names,
    traceparent: str | None,
) -> ProviderEventsResponse:
    """Accept each item or reject it, one after the other, so that a session gets them in the request's order.

    `is_shared`: the token that the request showed is all providers' and channels': a channel reports what became of
    replies under it, in sessions that it served none of the runs of.
    `names`: providers', as people read them.
    Unavailable passes through: the whole request may be sent again, since each item is accepted once.
    """
    if len(request.events) > MAX_ITEMS:
        raise InvalidRequest(f"events: at most {MAX_ITEMS} items")
    errors: list[EventRejection] = []
    reporter = _Reporter(request.provider_id, sessions, is_shared, names)
    for index, item in enumerate(request.events):
        try:
            # a union is a shape to msgspec, and no type[…] to mypy
            late = codec.convert(item, cast("type[LateEvent]", LateEvent))
            await submit(await reporter.turn(late, item, traceparent))
        except Unavailable:
            raise
        except UniAssistError as error:
            errors.append(EventRejection(index=index, code=error.code, message=error.detail))
    return ProviderEventsResponse(
        schema_version="v0",
        accepted=len(request.events) - len(errors),
        rejected=len(errors),
        errors=errors or None,
    )


@dataclass(frozen=True)
class _Reporter:
    """Who reports, and into which sessions it may: those that it served.

    `served`: those of this request that are known by now.
    """

    provider_id: str
    sessions: Sessions
    is_shared: bool
    names: Names
    served: set[str] = field(default_factory=set)

    async def turn(self, late: LateEvent, item: object, traceparent: str | None) -> Turn:
        if isinstance(late, LateDomainEvent):
            session_id, run_id = await self._domain_session(late), None
        else:
            session_id, run_id = late.session_id, late.run_id
        if isinstance(late, LateDeliveryEvent) and not self.is_shared:
            await self._check_served(session_id)
        content = hashlib.sha256(codec.encode([item, run_id])).hexdigest()
        return Turn(
            session_id=session_id,
            decide=_ReportedLate(self.provider_id, late, self.names).decide,
            idempotency=Idempotency(scope=f"events:{self.provider_id}", key=late.event_id or f"content:{content}"),
            run_id=run_id if isinstance(late, LateInteraction | LateRunEnd) else None,
            traceparent=traceparent,
            # what a provider reports of its own goes to where the person is now
            follows_successor=isinstance(late, LateDomainEvent),
        )

    async def _domain_session(self, late: LateDomainEvent) -> str:
        if late.event.provider_id != self.provider_id:
            raise InvalidRequest(f"event.providerId: expected {self.provider_id}, as in the request")
        if late.event.session_id is not None:
            await self._check_served(late.event.session_id)
            return late.event.session_id
        session_id = await self.sessions.latest(late.event.user_id, self.provider_id)
        if session_id is None:
            raise SessionNotFound("event.sessionId: missing, and this provider served no session of this user")
        return session_id

    async def _check_served(self, session_id: str) -> None:
        if session_id not in self.served and not await self.sessions.is_served(session_id, self.provider_id):
            raise SessionNotFound("sessionId: no such session that this provider served")
        self.served.add(session_id)


@dataclass(frozen=True)
class _ReportedLate:
    provider_id: str
    late: LateEvent
    names: Names

    def decide(self, draft: Draft, run: RunFacts | None) -> bytes:
        late = self.late
        user_id = late.event.user_id if isinstance(late, LateDomainEvent) else late.user_id
        if draft.session.user_id != user_id:
            raise SessionNotFound("sessionId: no such session of this user")
        if isinstance(late, LateInteraction):
            self._interaction(draft, late, run)
        elif isinstance(late, LateRunEnd):
            self._run_end(draft, late, run)
        elif isinstance(late, LateDomainEvent):
            self._domain_event(draft, late)
        else:
            self._delivery_event(draft, late)
        return b"{}"

    def _interaction(self, draft: Draft, late: LateInteraction, run: RunFacts | None) -> None:
        if (
            run is None
            or run.provider_id != self.provider_id
            or run.session_id != draft.session.session_id
            or run.status == "cancelled"
        ):
            raise InvalidRequest("runId: expected a run of this provider in this session, not cancelled")
        draft.interaction(
            late.event, "provider", trace_id=late.trace_id, provider_id=self.provider_id, run_id=run.run_id
        )

    def _run_end(self, draft: Draft, late: LateRunEnd, run: RunFacts | None) -> None:
        if run is None or run.provider_id != self.provider_id or run.session_id != draft.session.session_id:
            raise InvalidRequest("runId: expected a run of this provider in this session")
        if run.status != "running":
            raise InvalidRequest(f"runId: the run is {run.status}; expected one that stays open")
        told = "run_failed" if late.status == "failed" else None
        long_runs.end(draft, run, late.status, trace_id=late.trace_id, told=told, names=self.names)

    def _domain_event(self, draft: Draft, late: LateDomainEvent) -> None:
        event = late.event
        draft.append(
            "domain_event",
            DomainEventPayload(event=event),
            trace_id=event.trace_id or new_id(),
            provider_id=self.provider_id,
            run_id=event.related.run_id if event.related else None,
        )

    def _delivery_event(self, draft: Draft, late: LateDeliveryEvent) -> None:
        draft.append(
            "delivery_event",
            {"event": late.event},
            trace_id=(late.trace_id or new_id())[:MAX_ID_LENGTH],
            provider_id=self.provider_id,
            run_id=late.run_id,
        )


__all__: Sequence[str] = ("MAX_ITEMS", "Sessions", "accept")
