"""A run of somebody else's for what the person wants: shown with who handed it over, its call owed."""

from __future__ import annotations

import msgspec

from uniassist.contracts.inputs import Candidate, HandedOver, RoutingDecision, UnifiedUserInput
from uniassist.contracts.provider import ContextPackage, InvokeRequest, InvokeRun
from uniassist.gateway.turns.draft import Draft
from uniassist.store.ledger import RunFacts


def hand_over(
    draft: Draft,
    provider_id: str,
    *,
    by: RunFacts,
    message: UnifiedUserInput,
    text: str | None,
    package: ContextPackage,
    passed: bool = False,
) -> None:
    """`provider_id`: of a connected provider. `by`: the run that hands over. `text` None: the message's own.

    `passed`: the text wasn't for the provider of `by`; this one takes what is nobody's.
    """
    candidate = Candidate(
        provider_id=provider_id,
        score=0.0,
        reason=f"{'passed on' if passed else 'handed over'} by {by.provider_id} in {by.run_id}",
        requires_clarification=False,
        suggested_mode="async",
    )
    run = draft.open_run(
        provider_id,
        trace_id=message.trace_id,
        mode="async",
        routing_mode="fallback" if passed else "normal",
        status="pending",
        score=None,
    )
    decision = RoutingDecision(
        schema_version="v0",
        trace_id=message.trace_id,
        session_id=draft.session.session_id,
        candidates=[candidate],
        requires_user_confirmation=False,
        fallback="none",
        timestamp_ms=draft.now_ms,
        handed_over=None if passed else HandedOver(by_run_id=by.run_id, run_id=run.run_id, text=text),
    )
    draft.append("routing_decision", decision, trace_id=message.trace_id)
    draft.show_run(run, run.status, package, trace_id=message.trace_id)
    request = InvokeRequest(
        schema_version="v0",
        input=msgspec.structs.replace(message, text=text) if text is not None else message,
        context=package,
        run=InvokeRun(run_id=run.run_id, provider_id=provider_id, attempt=1, idempotency_key=run.idempotency_key),
    )
    draft.owe_call(run.run_id, provider_id, "invoke", request)
