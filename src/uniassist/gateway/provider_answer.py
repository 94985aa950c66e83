"""What a provider answers to a call, piece by piece or as a whole, or its failure: the turns that write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.provider import ExpectsReply, InteractRequest, InvokeRequest
from uniassist.contracts.timeline import RunStatus
from uniassist.errors import SessionNotFound, UniAssistError
from uniassist.gateway.providers import routing
from uniassist.gateway.providers.catalogue import RUN_MS, Catalogue
from uniassist.gateway.providers.kinds.kind import Said
from uniassist.gateway.turns import builtin, long_runs
from uniassist.gateway.turns.choices import with_choices
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.hand_over import hand_over
from uniassist.store.ledger import CallRow, RunFacts

NOBODY = Catalogue(())


@dataclass(frozen=True)
class ProviderAnswer:
    """One call, answered.

    `call`: the row that owed it.
    `request`: what the provider was asked.
    `said`: None: it failed, so the person is told and the builtin flow goes on.
    `name`: the provider's, as people read it.
    `catalogue`: of whom the answer may hand over to.
    """

    call: CallRow
    request: InvokeRequest | InteractRequest
    said: Said | None
    name: str
    catalogue: Catalogue = NOBODY

    @property
    def longest_run_ms(self) -> int:
        provider = self.catalogue.get(self.call.provider_id)
        return provider.run_timeout_ms if provider is not None else RUN_MS

    def decide(self, draft: Draft, run: RunFacts | None) -> bytes:
        run = _still_theirs(draft, run)
        trace_id = _trace_id(self.request)
        if run.status == "cancelled":  # its person ended it: this answer was asked for before
            return b""
        locale = self.request.context.user.locale
        failed = self.said is None
        chat = self._passed_to(run)
        events = self._plain(draft, run, locale) if self.said is None else self.said.events if chat is None else ()
        for event in events:
            draft.interaction(
                event,
                "fallback" if failed else "provider",
                trace_id=trace_id,
                provider_id=run.provider_id,
                run_id=run.run_id,
            )
        if self.said is not None:
            _give_floor(draft, run, self.said.expects)
        if isinstance(self.request, InvokeRequest):
            status: RunStatus = "failed" if failed else "completed"
            if self.said is not None and self.said.stays_open is not None:
                status = "running"
                long_runs.open_until(draft, run, self.said.stays_open.until_ms, self.longest_run_ms)
            draft.rows.run_status.append((run.run_id, status))
            draft.show_run(run, status, self.request.context, trace_id=trace_id)
            for each in self.said.hands_over if self.said is not None else ():
                if any(one.provider_id == each.provider_id for one in self.catalogue.specialists):  # still there
                    hand_over(
                        draft,
                        each.provider_id,
                        by=run,
                        message=self.request.input,
                        text=each.text,
                        package=self.request.context,
                    )
            if chat is not None:
                message, package = self.request.input, self.request.context
                hand_over(draft, chat, by=run, message=message, text=None, package=package, passed=True)
        return b""

    def _passed_to(self, run: RunFacts) -> str | None:
        """The chat that answers a reply which wasn't for its provider; None: that is as it said."""
        chat = self.catalogue.fallback
        if self.said is None or not self.said.passes or chat is None or chat.provider_id == run.provider_id:
            return None
        is_reply = isinstance(self.request, InvokeRequest) and self.request.run.continues is not None
        return chat.provider_id if is_reply else None

    def _plain(self, draft: Draft, run: RunFacts, locale: str | None) -> Sequence[InteractionEvent]:
        """What is said where the provider failed; where it was the chat, what is said without one."""
        if run.routing_mode == "normal" or not isinstance(self.request, InvokeRequest):
            return builtin.unavailable(run.provider_id, self.name, locale)
        memory = draft.memory
        draft.memory = msgspec.structs.replace(memory, is_introduced=True)
        message, others = self.request.input, Catalogue(self.catalogue.specialists)
        answer = builtin.chat(message, others, locale, is_introduced=memory.is_introduced)
        return [with_choices(answer, message.text or "", others, locale)]


class RunCancelled(UniAssistError):
    """The run's person ended it: nobody wants to hear the rest of the answer."""


@dataclass(frozen=True)
class ProviderSays:
    """One event of an answer that isn't at its end."""

    call: CallRow
    request: InvokeRequest | InteractRequest
    event: InteractionEvent

    def decide(self, draft: Draft, run: RunFacts | None) -> bytes:
        run = _still_theirs(draft, run)
        if run.status == "cancelled":
            raise RunCancelled("the run is cancelled")
        draft.interaction(
            self.event,
            "provider",
            trace_id=_trace_id(self.request),
            provider_id=run.provider_id,
            run_id=run.run_id,
        )
        return b"{}"


def _still_theirs(draft: Draft, run: RunFacts | None) -> RunFacts:
    assert run is not None, "a call belongs to a run"
    if draft.session.user_id != run.user_id:  # deleted, and its id taken by someone else since
        raise SessionNotFound("sessionId: no such session of this user")
    return run


def _trace_id(request: InvokeRequest | InteractRequest) -> str:
    return request.input.trace_id if isinstance(request, InvokeRequest) else request.interaction.trace_id


def _give_floor(draft: Draft, run: RunFacts, expects: ExpectsReply | None) -> None:
    memory = draft.memory
    if expects is None:
        given = routing.left(memory, run.provider_id)
    else:
        given = routing.expecting(
            memory,
            run.provider_id,
            run.run_id,
            until_ms=expects.until_ms,
            hint=expects.hint,
            now_ms=draft.now_ms,
        )
    if given is not memory:
        draft.memory = given


def request_of(call: CallRow) -> InvokeRequest | InteractRequest:
    """What the call's row says that the provider is asked."""
    if call.kind == "invoke":
        return msgspec.json.decode(call.request, type=InvokeRequest)
    return msgspec.json.decode(call.request, type=InteractRequest)
