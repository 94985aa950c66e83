"""A draft: a session as one turn sees it, and the rows that the turn adds. Kept only when it decides to the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.inputs import Mode
from uniassist.contracts.interaction import InteractionEvent, ProviderExtension
from uniassist.contracts.provider import ContextPackage
from uniassist.contracts.timeline import (
    InteractionPayload,
    InteractionSource,
    Kind,
    ProviderRunPayload,
    RoutingMode,
    RunStatus,
)
from uniassist.gateway.providers.routing import Memory
from uniassist.gateway.turns.ids import new_id
from uniassist.store.ledger import CallRow, EventRow, Rows, RunFacts, RunRow, Session


@dataclass
class Draft:
    """Gives events their seq and collects rows. Pure.

    `now_ms`: the server's clock, the same for the whole turn.
    """

    session: Session
    now_ms: int
    traceparent: str | None = None
    rows: Rows = field(default_factory=Rows)
    _memory: Memory | None = None

    def __post_init__(self) -> None:
        self.session = replace(self.session)  # the locked one stays as it was until `keep`
        self.rows.sessions.append(self.session)

    @property
    def memory(self) -> Memory:
        if self._memory is None:
            self._memory = msgspec.json.decode(self.session.state, type=Memory)
        return self._memory

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self._memory = memory
        self.session.state = codec.encode(memory).decode()

    def continue_in(self, session_id: str, at_ms: int) -> None:
        """From here on the turn writes to a new session, which the old one names as its successor."""
        old = self.session
        old.successor_id = session_id
        kept = Memory(locale=self.memory.locale, timezone=self.memory.timezone)  # the person is who they were
        self.session = Session(session_id, old.user_id, 0, at_ms, old.signed, None, "{}", True, old.subject)
        self.rows.sessions.append(self.session)
        self._memory = None
        if kept != Memory():
            self.memory = kept

    def append(
        self,
        kind: Kind,
        payload: object,
        *,
        trace_id: str,
        provider_id: str | None = None,
        run_id: str | None = None,
        extension_kind: str | None = None,
        render_schema_ref: str | None = None,
    ) -> EventRow:
        """The next event of the session's timeline."""
        self.session.seq += 1
        event = EventRow(
            event_id=new_id(),
            trace_id=trace_id,
            session_id=self.session.session_id,
            user_id=self.session.user_id,
            provider_id=provider_id,
            run_id=run_id,
            seq=self.session.seq,
            timestamp_ms=self.now_ms,
            kind=kind,
            extension_kind=extension_kind,
            render_schema_ref=render_schema_ref,
            payload=codec.encode(payload).decode(),
            traceparent=self.traceparent,
        )
        self.rows.events.append(event)
        return event

    def interaction(
        self,
        event: InteractionEvent,
        source: InteractionSource,
        *,
        trace_id: str,
        provider_id: str | None = None,
        run_id: str | None = None,
    ) -> EventRow:
        """An interaction; one that carries an extension gets its kind and schema reference."""
        kind = event.extension_kind if isinstance(event, ProviderExtension) else None
        reference = f"v0:{provider_id}:{kind}" if kind is not None else None
        return self.append(
            "interaction",
            InteractionPayload(event=event, source=source),
            trace_id=trace_id,
            provider_id=provider_id,
            run_id=run_id,
            extension_kind=kind,
            render_schema_ref=reference,
        )

    def open_run(
        self,
        provider_id: str,
        *,
        trace_id: str,
        mode: Mode,
        routing_mode: RoutingMode,
        status: RunStatus,
        score: float | None,
    ) -> RunRow:
        run = RunRow(
            run_id=f"run-{new_id()}",
            trace_id=trace_id,
            session_id=self.session.session_id,
            user_id=self.session.user_id,
            provider_id=provider_id,
            mode=mode,
            routing_mode=routing_mode,
            idempotency_key=f"{trace_id}:{provider_id}",
            status=status,
            score=score,
        )
        self.rows.runs.append(run)
        return run

    def show_run(
        self,
        run: RunRow | RunFacts,
        status: RunStatus,
        package: ContextPackage,
        *,
        trace_id: str,
        score: float | None = None,
    ) -> EventRow:
        """Where a run stands now. `package`: what its provider gets to know of the session."""
        payload = ProviderRunPayload(
            providerId=run.provider_id,
            mode=run.mode,
            score=score,
            status=status,
            routing_mode=run.routing_mode,
            idempotency_key=run.idempotency_key,
            context=package,
        )
        return self.append(
            "provider_run", payload, trace_id=trace_id, provider_id=run.provider_id, run_id=run.run_id
        )

    def owe_call(self, run_id: str, provider_id: str, kind: str, request: object) -> CallRow:
        """A provider call to be made after the commit, durable with it."""
        call = CallRow(
            call_id=f"call-{new_id()}",
            run_id=run_id,
            session_id=self.session.session_id,
            provider_id=provider_id,
            kind=kind,
            request=codec.encode(request).decode(),
            traceparent=self.traceparent,
        )
        self.rows.calls.append(call)
        return call
