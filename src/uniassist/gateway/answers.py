"""A provider's answer, or its absence, on its way to the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.provider import InteractRequest, InvokeRequest
from uniassist.contracts.timeline import ProviderRunPayload, RunStatus
from uniassist.errors import SessionNotFound
from uniassist.gateway import builtin
from uniassist.gateway.draft import Draft
from uniassist.store.ledger import CallRow, RunFacts


@dataclass(frozen=True)
class Answer:
    """`events` None: the provider failed; the person is told and the builtin flow goes on.

    `name`: the provider's, as people read it.
    """

    call: CallRow
    request: InvokeRequest | InteractRequest
    events: Sequence[InteractionEvent] | None
    name: str

    def __call__(self, draft: Draft, run: RunFacts | None) -> bytes:
        assert run is not None, "a call belongs to a run"
        if draft.session.user_id != run.user_id:  # deleted, and its id taken by someone else since
            raise SessionNotFound("sessionId: no such session of this user")
        trace_id = (
            self.request.input.trace_id
            if isinstance(self.request, InvokeRequest)
            else self.request.interaction.trace_id
        )
        if run.status == "cancelled":  # its person ended it: this answer was asked for before
            return b""
        locale = self.request.context.user.locale
        failed = self.events is None
        events = builtin.unavailable(run.provider_id, self.name, locale) if self.events is None else self.events
        for event in events:
            draft.interaction(
                event,
                "fallback" if failed else "provider",
                trace_id=trace_id,
                provider_id=run.provider_id,
                run_id=run.run_id,
            )
        if isinstance(self.request, InvokeRequest):
            self._close_run(draft, run, self.request, failed=failed)
        return b""

    @staticmethod
    def _close_run(draft: Draft, run: RunFacts, request: InvokeRequest, *, failed: bool) -> None:
        status: RunStatus = "failed" if failed else "completed"
        draft.rows.run_status.append((run.run_id, status))
        payload = ProviderRunPayload(
            providerId=run.provider_id,
            mode=run.mode,
            status=status,
            routing_mode=run.routing_mode,
            idempotency_key=run.idempotency_key,
            context=request.context,
        )
        draft.append(
            "provider_run",
            payload,
            trace_id=request.input.trace_id,
            provider_id=run.provider_id,
            run_id=run.run_id,
        )


def request_of(call: CallRow) -> InvokeRequest | InteractRequest:
    """The stored body as its shape."""
    if call.kind == "invoke":
        return msgspec.json.decode(call.request, type=InvokeRequest)
    return msgspec.json.decode(call.request, type=InteractRequest)
