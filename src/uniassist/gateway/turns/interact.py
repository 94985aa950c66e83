"""A user's interaction with what was shown: a switch, a new session, or something for the run's provider."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.inputs import InteractAck, UnifiedUserInput, UserInteraction
from uniassist.contracts.interaction import Ack, AssistantMessage
from uniassist.contracts.provider import InteractRequest, InteractRun
from uniassist.errors import InvalidRequest
from uniassist.gateway.providers import routing
from uniassist.gateway.providers.catalogue import Catalogue, Provider
from uniassist.gateway.turns import access, builtin, context, idle
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.choices import chosen
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.hand_over import hand_over
from uniassist.gateway.turns.ids import new_id
from uniassist.gateway.turns.phrases import say
from uniassist.store.ledger import RunFacts

SWITCH, NEW_SESSION = "switch_provider:", "new_session:"


@dataclass(frozen=True)
class Interact:
    """One interaction, answered in the language that the session speaks.

    The same one again within a moment, with whatever key or none, is the first: a person tapped twice.
    """

    interaction: UserInteraction
    catalogue: Catalogue
    caller: Caller

    def decide(self, draft: Draft, run: RunFacts | None) -> bytes:
        access.check(draft.session, user_id=self.interaction.user_id, caller=self.caller)
        action_id = self.interaction.action_id
        if action_id.startswith(SWITCH):
            return self._switch(draft, action_id.removeprefix(SWITCH))
        is_new_session = action_id.startswith(NEW_SESSION)
        heard = routing.Heard("" if is_new_session else self.interaction.run_id, self._digest(), draft.now_ms)
        if not routing.heard_before(draft.memory, heard.run_id, heard.digest, draft.now_ms):
            if is_new_session:
                self._new_session(draft)
            else:
                self._to_provider(draft, run)
            draft.memory = routing.hearing(draft.memory, heard)
        new_session_id = draft.session.session_id if is_new_session else None
        return codec.encode(InteractAck(accepted=True, new_session_id=new_session_id))

    def _digest(self) -> str:
        asked = self.interaction
        content = msgspec.json.encode([asked.provider_id, asked.action_id, asked.payload], order="deterministic")
        return hashlib.sha256(content).hexdigest()[:32]

    def _record(self, draft: Draft, run_id: str | None = None) -> None:
        draft.session.last_activity_ms = max(
            draft.session.last_activity_ms, idle.activity_ms(self.interaction.timestamp_ms, draft.now_ms)
        )
        draft.append(
            "user_interaction",
            self.interaction,
            trace_id=self.interaction.trace_id,
            provider_id=self.interaction.provider_id,
            run_id=run_id or self.interaction.run_id,
        )

    def _switch(self, draft: Draft, provider_id: str) -> bytes:
        if self.catalogue.get(provider_id) is None:
            known = ", ".join(each.provider_id for each in self.catalogue.providers)
            raise InvalidRequest(f"actionId: expected {SWITCH} followed by one of {known}")
        self._record(draft)
        draft.memory = routing.switched(draft.memory, provider_id)
        message = AssistantMessage(text=say("switched", draft.memory.locale, provider=provider_id))
        draft.interaction(message, "system", trace_id=self.interaction.trace_id)
        return codec.encode(InteractAck(accepted=True))

    def _new_session(self, draft: Draft) -> None:
        self._record(draft)
        draft.continue_in(idle.successor_id(draft.session.session_id, new_id()), draft.now_ms)
        message = Ack(message=say("new_session_asked", draft.memory.locale))
        draft.interaction(message, "system", trace_id=self.interaction.trace_id)

    def _to_provider(self, draft: Draft, run: RunFacts | None) -> None:
        asked = self.interaction
        if run is None or run.session_id != draft.session.session_id or run.provider_id != asked.provider_id:
            raise InvalidRequest("runId: expected a run of this provider in this session")
        if run.status == "cancelled":
            raise InvalidRequest("runId: the run is cancelled; expected one that still takes answers")
        self._record(draft, run.run_id)
        locale = draft.memory.locale
        if run.provider_id == routing.BUILTIN or run.routing_mode == "fallback":
            asked_for = chosen(asked.action_id, self.catalogue)
            if asked_for is not None:
                self._ask(draft, run, asked_for)
                return
        provider = self.catalogue.get(run.provider_id)
        if provider is not None and provider.base_url is not None:
            draft.owe_call(run.run_id, run.provider_id, "interact", self._request(draft, run))
        else:
            event = (
                builtin.not_connected(provider.name(locale), self.catalogue, locale, is_all=True)
                if provider is not None
                else builtin.unavailable(run.provider_id, run.provider_id, locale)[0]
            )
            draft.interaction(
                event, "system", trace_id=asked.trace_id, provider_id=run.provider_id, run_id=run.run_id
            )

    def _ask(self, draft: Draft, run: RunFacts, provider: Provider) -> None:
        """As if the person had said what the provider gives as its example."""
        locale = draft.memory.locale
        message = UnifiedUserInput(
            schema_version="v0",
            trace_id=self.interaction.trace_id,
            user_id=draft.session.user_id,
            session_id=draft.session.session_id,
            source="app",
            timestamp_ms=self.interaction.timestamp_ms,
            text=provider.example(locale),
            locale=locale,
        )
        package = context.package(draft.session, locale=locale)
        hand_over(draft, provider.provider_id, by=run, message=message, text=None, package=package)

    def _request(self, draft: Draft, run: RunFacts) -> InteractRequest:
        return InteractRequest(
            schema_version="v0",
            interaction=self.interaction,
            context=context.package(draft.session, locale=draft.memory.locale, timezone=draft.memory.timezone),
            run=InteractRun(run_id=run.run_id, attempt=1, idempotency_key=f"{run.run_id}:{draft.session.seq}"),
        )
