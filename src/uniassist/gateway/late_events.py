"""What providers and channels report later: each item accepted or rejected by itself, and once."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from uniassist.contracts import codec
from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.contracts.provider import (
    EventRejection,
    LateDeliveryEvent,
    LateDomainEvent,
    LateEvent,
    LateInteraction,
    ProviderEventsRequest,
    ProviderEventsResponse,
)
from uniassist.contracts.timeline import DomainEventPayload
from uniassist.errors import InvalidRequest, SessionNotFound, Unavailable, UniAssistError
from uniassist.gateway.draft import Draft
from uniassist.gateway.ids import new_id
from uniassist.gateway.turns import Idempotency, Turn
from uniassist.store.ledger import RunFacts

MAX_ITEMS = 1000


async def accept(
    request: ProviderEventsRequest,
    *,
    submit: Callable[[Turn], Awaitable[bytes]],
    latest_session: Callable[[str], Awaitable[str | None]],
    traceparent: str | None,
) -> ProviderEventsResponse:
    """Items in their order, one after the other, so that a session gets them in that order too.

    Raises Unavailable as it is: the whole request is safe to send again, since each item is accepted once.
    """
    if len(request.events) > MAX_ITEMS:
        raise InvalidRequest(f"events: at most {MAX_ITEMS} items")
    errors: list[EventRejection] = []
    for index, item in enumerate(request.events):
        try:
            # a union is a shape to msgspec, and no type[…] to mypy
            late = codec.convert(item, cast("type[LateEvent]", LateEvent))
            await submit(await _turn(request.provider_id, late, item, latest_session, traceparent))
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


async def _turn(
    provider_id: str,
    late: LateEvent,
    item: object,
    latest_session: Callable[[str], Awaitable[str | None]],
    traceparent: str | None,
) -> Turn:
    if isinstance(late, LateDomainEvent):
        session_id = late.event.session_id or await latest_session(late.event.user_id)
        if session_id is None:
            raise SessionNotFound("event.sessionId: missing, and this user has no session")
        run_id = None
    else:
        session_id, run_id = late.session_id, late.run_id
    content = hashlib.sha256(codec.encode([item, run_id])).hexdigest()
    return Turn(
        session_id=session_id,
        decide=_Late(provider_id, late),
        idempotency=Idempotency(scope=f"events:{provider_id}", key=late.event_id or f"content:{content}"),
        run_id=run_id if isinstance(late, LateInteraction) else None,
        traceparent=traceparent,
        follows_successor=False,
    )


@dataclass(frozen=True)
class _Late:
    provider_id: str
    late: LateEvent

    def __call__(self, draft: Draft, run: RunFacts | None) -> bytes:
        late = self.late
        user_id = late.event.user_id if isinstance(late, LateDomainEvent) else late.user_id
        if draft.session.user_id != user_id:
            raise SessionNotFound("sessionId: no such session of this user")
        if isinstance(late, LateInteraction):
            self._interaction(draft, late, run)
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

    def _domain_event(self, draft: Draft, late: LateDomainEvent) -> None:
        event = late.event
        if event.provider_id != self.provider_id:
            raise InvalidRequest(f"event.providerId: expected {self.provider_id}, as in the request")
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


__all__: Sequence[str] = ("MAX_ITEMS", "accept")
