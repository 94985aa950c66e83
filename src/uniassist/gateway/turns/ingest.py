"""An input: which session it goes to, who is asked, and what the person is told."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.courtesies import courtesy
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
from uniassist.contracts.language import Language, spoken
from uniassist.contracts.provider import ContextPackage, InvokeRequest, InvokeRun
from uniassist.contracts.timeline import InboundPayload, InteractionSource
from uniassist.gateway.providers import routing
from uniassist.gateway.providers.catalogue import Catalogue, Provider
from uniassist.gateway.turns import access, builtin, context, idle
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.choices import with_choices
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.ids import new_id
from uniassist.gateway.turns.phrases import say
from uniassist.gateway.turns.similarity import similarity, topic
from uniassist.store.ledger import RunFacts, RunRow

# What a session keeps of the last text. As much is compared of the new one, or a long text would be unlike itself.
TOPIC_CHARACTERS = 2000
LONGEST_ZONE = 64  # characters of a zone's name that a session keeps; there are none that long


@dataclass(frozen=True)
class _Said:
    """Something to tell the person.

    `run`: the one that it is said of.
    """

    event: InteractionEvent
    run: RunRow | None = None
    source: InteractionSource = "system"


@dataclass(frozen=True)
class Ingest:
    """One accepted input on its way to the timeline.

    `addressed`: the connected provider that the client asks by name; None: the router finds whom it concerns.
    """

    message: UnifiedUserInput
    catalogue: Catalogue
    caller: Caller
    addressed: str | None = None

    def decide(self, draft: Draft, _run: RunFacts | None) -> bytes:
        message = self.message
        access.check(draft.session, user_id=message.user_id, caller=self.caller)
        said: list[_Said] = []
        goes_on_elsewhere = self._goes_on_elsewhere(draft)
        locale = self._note_locale(draft)
        if goes_on_elsewhere:
            said.append(_Said(Ack(message=say("new_session", locale))))
        cursor = draft.session.seq
        draft.append("inbound", InboundPayload(input=message), trace_id=message.trace_id)
        decision = self._decide(draft)
        shown = self._shown(draft, decision)
        draft.append("routing_decision", shown, trace_id=message.trace_id)
        runs = self._open_runs(draft, decision, said)
        said += [_Said(event) for event in self._advice(draft, decision)]
        for each in said:
            self._say(draft, each)
        told = [*self._handed_over(runs, locale), *(each.event for each in said)]
        return codec.encode(self._ack(draft, shown, runs, told, cursor))

    def _say(self, draft: Draft, said: _Said) -> None:
        draft.interaction(
            said.event,
            said.source,
            trace_id=self.message.trace_id,
            provider_id=said.run.provider_id if said.run else None,
            run_id=said.run.run_id if said.run else None,
        )

    def _note_locale(self, draft: Draft) -> str | None:
        """The language that the person is answered in, which the session keeps, and their zone with it."""
        message, memory = self.message, draft.memory
        default: Language = "zh" if message.source == "wechat" else "en"
        locale = spoken(message.locale, message.text, memory.locale, default=default)
        named = message.timezone or ""
        timezone = named if 0 < len(named) <= LONGEST_ZONE else memory.timezone
        if (locale, timezone) != (memory.locale, memory.timezone):
            draft.memory = msgspec.structs.replace(memory, locale=locale, timezone=timezone)
        return locale

    def _decide(self, draft: Draft) -> routing.Decision:
        """Who is asked. What is a reply goes to who has the floor; a courtesy is none, and "取消" gives it back."""
        text, floor = self.message.text or "", routing.standing(draft.memory, draft.now_ms)
        decision = routing.decide(text, self.catalogue.rules, draft.memory)
        if self.addressed is not None:
            return routing.addressed(decision, self.addressed, floor)
        if floor is None or not text.strip() or self._connected(floor.provider_id) is None:
            return decision
        kind = courtesy(text)
        if kind in builtin.TO_NOBODY and not decision.selected:
            return decision
        return routing.continued(decision, floor)

    def _connected(self, provider_id: str) -> Provider | None:
        provider = self.catalogue.get(provider_id)
        return provider if provider is not None and provider.base_url is not None else None

    def _handed_over(self, runs: list[RunRow], locale: str | None) -> list[InteractionEvent]:
        """Told in the answer only: on the timeline the provider's own ack follows."""
        called = say("between", locale).join(
            self.catalogue.name(run.provider_id, locale)
            for run in runs
            if run.status == "pending" and run.routing_mode == "normal"  # a chat just answers
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
                    reason=_reason(each, decision),
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
            if (fallback := self._fallback(draft)) is not None:
                return [self._open_fallback(draft, fallback)]
            run = draft.open_run(
                routing.BUILTIN,
                trace_id=message.trace_id,
                mode="sync",
                routing_mode="fallback",
                status="completed",
                score=None,
            )
            self._show_run(draft, run)
            answer = with_choices(self._chat(draft), message.text or "", self.catalogue, draft.memory.locale)
            said.append(_Said(answer, run, "fallback"))
            return [run]
        return [self._open_run(draft, each, said, decision) for each in decision.selected]

    def _fallback(self, draft: Draft) -> Provider | None:
        """Who takes what is nobody's. Not a "取消" to who has the floor: that is the gateway's to answer."""
        is_leaving = (
            routing.standing(draft.memory, draft.now_ms) is not None
            and courtesy(self.message.text or "") == "leave"
        )
        return None if is_leaving else self.catalogue.fallback

    def _open_fallback(self, draft: Draft, provider: Provider) -> RunRow:
        run = draft.open_run(
            provider.provider_id,
            trace_id=self.message.trace_id,
            mode="async",
            routing_mode="fallback",
            status="pending",
            score=None,
        )
        self._show_run(draft, run)
        draft.owe_call(run.run_id, run.provider_id, "invoke", self._request(draft, run, None))
        return run

    def _chat(self, draft: Draft) -> AssistantMessage:
        """The builtin chat's answer. Who says "取消" leaves whom they were talking to."""
        memory, locale = draft.memory, draft.memory.locale
        floor = routing.standing(memory, draft.now_ms)
        if floor is not None and courtesy(self.message.text or "") == "leave":
            draft.memory = routing.left(memory)
            return AssistantMessage(
                text=say("floor_left", locale, provider=self.catalogue.name(floor.provider_id, locale))
            )
        draft.memory = msgspec.structs.replace(memory, is_introduced=True)
        talks_to = self.catalogue.name(floor.provider_id, locale) if floor is not None else None
        return builtin.chat(
            self.message, self.catalogue, locale, is_introduced=memory.is_introduced, talks_to=talks_to
        )

    def _open_run(
        self, draft: Draft, each: routing.Scored, said: list[_Said], decision: routing.Decision
    ) -> RunRow:
        message = self.message
        connected = self._connected(each.provider_id) is not None
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
            draft.owe_call(run.run_id, run.provider_id, "invoke", self._request(draft, run, decision.continues))
        else:
            locale = draft.memory.locale
            name = self.catalogue.name(run.provider_id, locale)
            is_all = each is decision.selected[-1] and not any(
                self._connected(other.provider_id) for other in decision.selected
            )
            said.append(_Said(builtin.not_connected(name, self.catalogue, locale, is_all=is_all), run))
        return run

    def _request(self, draft: Draft, run: RunRow, continues: str | None) -> InvokeRequest:
        floor = draft.memory.floor
        return InvokeRequest(
            schema_version="v0",
            input=self.message,
            context=self._context(draft),
            run=InvokeRun(
                run_id=run.run_id,
                provider_id=run.provider_id,
                attempt=1,
                idempotency_key=run.idempotency_key,
                continues=continues,
                hint=floor.hint if continues is not None and floor is not None else None,
            ),
        )

    def _show_run(self, draft: Draft, run: RunRow) -> None:
        draft.show_run(run, run.status, self._context(draft), trace_id=run.trace_id, score=run.score)

    def _context(self, draft: Draft) -> ContextPackage:
        return context.package(
            draft.session, locale=draft.memory.locale, timezone=self.message.timezone or draft.memory.timezone
        )

    def _advice(self, draft: Draft, decision: routing.Decision) -> list[InteractionEvent]:
        """What is offered: a choice between two, a switch, a new session. Updates the routing memory as well."""
        locale, advice = draft.memory.locale, list[InteractionEvent]()
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
        # A reply is on the topic of what it replies to, however unlike it is; courtesies and chat are on none.
        text = (self.message.text or "")[:TOPIC_CHARACTERS]
        is_small_talk = not decision.selected and self.catalogue.fallback is not None
        is_on_one = decision.continues is None and courtesy(text) is None and not is_small_talk
        told = topic(text) if is_on_one else ""
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


def _reason(each: routing.Scored, decision: routing.Decision) -> str:
    if decision.continues is not None and each in decision.selected:
        return f"continues {decision.continues}"
    parts = [f"keywords: {', '.join(each.hits)}"] if each.hits else []
    if each.boosted:
        parts.append("sticky provider")
    if decision.is_addressed and each in decision.selected:
        parts.append("asked by name")
    return "; ".join(parts)
