"""An input, decided: session, routing, runs and what the person is told. No I/O: the ledger commits it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.inputs import (
    Candidate,
    IngestAck,
    RoutingDecision,
    RunRef,
    StreamRef,
    UnifiedUserInput,
)
from uniassist.contracts.interaction import (
    Ack,
    Action,
    AssistantMessage,
    Card,
    Choice,
    InteractionEvent,
    RequestClarification,
)
from uniassist.contracts.provider import ContextPackage, InvokeRequest, InvokeRun
from uniassist.contracts.timeline import InboundPayload, InteractionSource, ProviderRunPayload
from uniassist.gateway import access, builtin, context, idle, routing
from uniassist.gateway.access import Caller
from uniassist.gateway.draft import Draft
from uniassist.gateway.ids import new_id
from uniassist.gateway.phrases import say
from uniassist.gateway.providers import Catalogue
from uniassist.gateway.similarity import similarity, topic
from uniassist.store.ledger import RunFacts, RunRow

# What a session keeps of the last text; of both texts the same length is compared, or a long one is unlike itself.
TOPIC_CHARACTERS = 2000


@dataclass(frozen=True)
class _Said:
    """Something to tell the person; `run`: the one that it is said of."""

    event: InteractionEvent
    run: RunRow | None = None
    source: InteractionSource = "system"


@dataclass(frozen=True)
class Ingest:
    """One accepted input on its way to the timeline."""

    message: UnifiedUserInput
    catalogue: Catalogue
    caller: Caller

    def __call__(self, draft: Draft, _run: RunFacts | None) -> bytes:
        message = self.message
        access.check(draft.session, user_id=message.user_id, caller=self.caller)
        said: list[_Said] = []
        if self._goes_on_elsewhere(draft):
            said.append(_Said(Ack(message=say("new_session", message.locale))))
        cursor = draft.session.seq
        draft.append("inbound", InboundPayload(input=message), trace_id=message.trace_id)
        decision = routing.decide(message.text or "", self.catalogue.rules, draft.memory)
        shown = self._shown(draft, decision)
        draft.append("routing_decision", shown, trace_id=message.trace_id)
        runs = self._open_runs(draft, decision, said)
        said += [_Said(event) for event in self._advice(draft, decision)]
        for each in said:
            self._say(draft, each)
        told = [*self._handed_over(runs), *(each.event for each in said)]
        return codec.encode(self._ack(draft, shown, runs, told, cursor))

    def _say(self, draft: Draft, said: _Said) -> None:
        draft.interaction(
            said.event,
            said.source,
            trace_id=self.message.trace_id,
            provider_id=said.run.provider_id if said.run else None,
            run_id=said.run.run_id if said.run else None,
        )

    def _handed_over(self, runs: list[RunRow]) -> list[InteractionEvent]:
        """Only in the answer, not on the timeline: the provider's own ack follows there."""
        locale = self.message.locale
        called = say("between", locale).join(
            self.catalogue.name(run.provider_id, locale) for run in runs if run.status == "pending"
        )
        return [Ack(message=say("handed_over", locale, providers=called))] if called else []

    def _goes_on_elsewhere(self, draft: Draft) -> bool:
        session, message = draft.session, self.message
        at_ms = idle.activity_ms(message.timestamp_ms, draft.now_ms)
        split = not session.is_new and idle.is_idle(session.last_activity_ms, message.timestamp_ms, draft.now_ms)
        if split:
            draft.continue_in(idle.successor_id(session.session_id, new_id()), at_ms)
        draft.session.last_activity_ms = max(draft.session.last_activity_ms, at_ms)
        return split

    def _shown(self, draft: Draft, decision: routing.Decision) -> RoutingDecision:
        chosen = {each.provider_id for each in decision.selected}
        return RoutingDecision(
            schema_version="v0",
            trace_id=self.message.trace_id,
            session_id=draft.session.session_id,
            candidates=[
                Candidate(
                    provider_id=each.provider_id,
                    score=each.score / 1000,
                    reason=_reason(each),
                    requires_clarification=decision.needs_confirmation and each.provider_id in chosen,
                    suggested_mode="async",
                )
                for each in decision.candidates
            ],
            requires_user_confirmation=decision.needs_confirmation,
            fallback="none" if decision.selected else "builtin_chat",
            timestamp_ms=draft.now_ms,
        )

    def _open_runs(self, draft: Draft, decision: routing.Decision, said: list[_Said]) -> list[RunRow]:
        message = self.message
        if not decision.selected:
            run = draft.open_run(
                routing.BUILTIN,
                trace_id=message.trace_id,
                mode="sync",
                routing_mode="fallback",
                status="completed",
                score=None,
            )
            self._show_run(draft, run)
            answer = builtin.chat(message, self.catalogue, is_introduced=draft.memory.is_introduced)
            said.append(_Said(answer, run, "fallback"))
            draft.memory = msgspec.structs.replace(draft.memory, is_introduced=True)
            return [run]
        return [self._open_run(draft, each, said) for each in decision.selected]

    def _open_run(self, draft: Draft, each: routing.Scored, said: list[_Said]) -> RunRow:
        message, provider = self.message, self.catalogue.get(each.provider_id)
        connected = provider is not None and provider.base_url is not None
        run = draft.open_run(
            each.provider_id,
            trace_id=message.trace_id,
            mode="async",
            routing_mode="normal",
            status="pending" if connected else "failed",
            score=each.score / 1000,
        )
        self._show_run(draft, run)
        if connected:
            draft.owe_call(run.run_id, run.provider_id, "invoke", self._request(draft, run))
        else:
            name = self.catalogue.name(run.provider_id, message.locale)
            said.append(_Said(AssistantMessage(text=say("not_connected", message.locale, provider=name)), run))
        return run

    def _request(self, draft: Draft, run: RunRow) -> InvokeRequest:
        return InvokeRequest(
            schema_version="v0",
            input=self.message,
            context=self._context(draft),
            run=InvokeRun(
                run_id=run.run_id,
                provider_id=run.provider_id,
                attempt=1,
                idempotency_key=run.idempotency_key,
            ),
        )

    def _show_run(self, draft: Draft, run: RunRow) -> None:
        payload = ProviderRunPayload(
            providerId=run.provider_id,
            mode=run.mode,
            score=run.score,
            status=run.status,
            routing_mode=run.routing_mode,
            idempotency_key=run.idempotency_key,
            context=self._context(draft),
        )
        draft.append("provider_run", payload, trace_id=run.trace_id, provider_id=run.provider_id, run_id=run.run_id)

    def _context(self, draft: Draft) -> ContextPackage:
        return context.package(
            user_id=draft.session.user_id,
            session_id=draft.session.session_id,
            seq=draft.session.seq,
            locale=self.message.locale,
            timezone=self.message.timezone,
        )

    def _advice(self, draft: Draft, decision: routing.Decision) -> list[InteractionEvent]:
        """Choice between two, switch card, topic card; and the session's routing memory after this turn."""
        locale, advice = self.message.locale, list[InteractionEvent]()
        if decision.needs_confirmation:
            choices = [
                Choice(
                    key=f"switch_provider:{each.provider_id}", label=self.catalogue.name(each.provider_id, locale)
                )
                for each in decision.selected
            ]
            advice.append(RequestClarification(question=say("confirm_question", locale), choices=choices))
        memory, offered = routing.after_turn(draft.memory, decision)
        if offered is not None:
            advice.append(
                Card(
                    title=say("switch_title", locale, provider=offered),
                    body=say("switch_body", locale, name=self.catalogue.name(offered, locale)),
                    actions=[
                        Action(
                            action_id=f"switch_provider:{offered}",
                            label=say("switch_action", locale, provider=offered),
                            style="primary",
                        )
                    ],
                )
            )
        told = topic((self.message.text or "")[:TOPIC_CHARACTERS])
        before = memory.last_text
        alike = similarity(before, told) if before and told else None
        memory, drifted = routing.after_text(memory, alike=alike, text=told)
        if drifted:
            advice.append(
                Card(
                    title=say("drift_title", locale),
                    body=say("drift_body", locale),
                    actions=[
                        Action(action_id="new_session:auto", label=say("drift_action", locale), style="primary")
                    ],
                )
            )
        draft.memory = memory
        return advice

    def _ack(
        self,
        draft: Draft,
        shown: RoutingDecision,
        runs: list[RunRow],
        events: list[InteractionEvent],
        cursor: int,
    ) -> IngestAck:
        session_id = draft.session.session_id
        return IngestAck(
            schema_version="v0",
            trace_id=self.message.trace_id,
            session_id=session_id,
            user_id=draft.session.user_id,
            routing=shown,
            runs=[
                RunRef(
                    provider_id=run.provider_id,
                    run_id=run.run_id,
                    mode=run.mode,
                )
                for run in runs
            ],
            ack_events=events,
            stream=StreamRef(
                type="sse",
                href=f"/v0/stream?sessionId={quote(session_id, safe='')}&cursor={cursor}",
                cursor=cursor,
            ),
            timestamp_ms=draft.now_ms,
        )


def _reason(each: routing.Scored) -> str:
    parts = [f"keywords: {', '.join(each.hits)}"] if each.hits else []
    if each.boosted:
        parts.append("sticky provider")
    return "; ".join(parts)
