"""A user's interaction with what was shown: a switch, a new session, or something for the run's provider."""

from __future__ import annotations

from dataclasses import dataclass

from uniassist.contracts import codec
from uniassist.contracts.inputs import InteractAck, UserInteraction
from uniassist.contracts.interaction import Ack, AssistantMessage
from uniassist.contracts.provider import InteractRequest, InteractRun
from uniassist.errors import InvalidRequest
from uniassist.gateway import access, builtin, context, idle, routing
from uniassist.gateway.access import Caller
from uniassist.gateway.draft import Draft
from uniassist.gateway.ids import new_id
from uniassist.gateway.phrases import say
from uniassist.gateway.providers import Catalogue
from uniassist.store.ledger import RunFacts

SWITCH, NEW_SESSION = "switch_provider:", "new_session:"


@dataclass(frozen=True)
class Interact:
    """One interaction. The person's locale isn't part of it, so the gateway's own words are Chinese."""

    interaction: UserInteraction
    catalogue: Catalogue
    caller: Caller

    def __call__(self, draft: Draft, run: RunFacts | None) -> bytes:
        access.check(draft.session, user_id=self.interaction.user_id, caller=self.caller)
        action_id = self.interaction.action_id
        if action_id.startswith(SWITCH):
            return self._switch(draft, action_id.removeprefix(SWITCH))
        if action_id.startswith(NEW_SESSION):
            return self._new_session(draft)
        return self._to_provider(draft, run)

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
        message = AssistantMessage(text=say("switched", None, provider=provider_id))
        draft.interaction(message, "system", trace_id=self.interaction.trace_id)
        return codec.encode(InteractAck(accepted=True))

    def _new_session(self, draft: Draft) -> bytes:
        self._record(draft)
        new_session_id = idle.successor_id(draft.session.session_id, new_id())
        draft.continue_in(new_session_id, draft.now_ms)
        draft.interaction(Ack(message=say("new_session_asked", None)), "system", trace_id=self.interaction.trace_id)
        return codec.encode(InteractAck(accepted=True, new_session_id=new_session_id))

    def _to_provider(self, draft: Draft, run: RunFacts | None) -> bytes:
        asked = self.interaction
        if run is None or run.session_id != draft.session.session_id or run.provider_id != asked.provider_id:
            raise InvalidRequest("runId: expected a run of this provider in this session")
        if run.status == "cancelled":
            raise InvalidRequest("runId: the run is cancelled; expected one that still takes answers")
        self._record(draft, run.run_id)
        provider = self.catalogue.get(run.provider_id)
        if provider is not None and provider.base_url is not None:
            draft.owe_call(run.run_id, run.provider_id, "interact", self._request(draft, run))
        else:
            event = (
                AssistantMessage(text=say("not_connected", None, provider=provider.name(None)))
                if provider is not None
                else builtin.unavailable(run.provider_id, run.provider_id, None)[0]
            )
            draft.interaction(
                event, "system", trace_id=asked.trace_id, provider_id=run.provider_id, run_id=run.run_id
            )
        return codec.encode(InteractAck(accepted=True))

    def _request(self, draft: Draft, run: RunFacts) -> InteractRequest:
        session = draft.session
        return InteractRequest(
            schema_version="v0",
            interaction=self.interaction,
            context=context.package(
                user_id=session.user_id, session_id=session.session_id, seq=session.seq, locale=None, timezone=None
            ),
            run=InteractRun(run_id=run.run_id, attempt=1, idempotency_key=f"{run.run_id}:{session.seq}"),
        )
