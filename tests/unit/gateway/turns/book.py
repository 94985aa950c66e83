"""A gateway without I/O: batches of turns on sessions kept in memory, as Postgres keeps them for a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.inputs import UnifiedUserInput, UserInteraction
from uniassist.errors import UniAssistError
from uniassist.gateway.providers.catalogue import Catalogue, Provider
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.batch import Batch, BatchFacts
from uniassist.gateway.turns.idle import activity_ms
from uniassist.gateway.turns.ingest import Ingest
from uniassist.gateway.turns.interact import NEW_SESSION, SWITCH, Interact
from uniassist.gateway.turns.turn import Idempotency, Turn
from uniassist.store.ledger import CallRow, EventRow, Opening, RunFacts, RunRow, Session

NOW_MS = 1_800_000_000_000
PLAN_URL = "http://plan"
CATALOGUE = Catalogue(
    (
        Provider("plan", ("计划", "安排"), PLAN_URL, 1, 1.0),
        Provider("work", ("工作", "任务"), None, 1, 1.0),
    )
)


@dataclass
class Book:
    """What is committed. `commit` a batch: the answers, an error in the place of each refused turn's."""

    sessions: dict[str, Session] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    runs: dict[str, RunRow] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    keys: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)
    unused: list[str] = field(default_factory=list)
    calls: list[CallRow] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def commit(self, *turns: Turn, now_ms: int = NOW_MS) -> list[bytes | UniAssistError]:
        batch = Batch(self._facts(turns), now_ms)
        answers: list[bytes | UniAssistError] = []
        for turn in turns:
            try:
                answers.append(batch.decide(turn))
            except UniAssistError as error:
                answers.append(error)
        rows = batch.rows
        self.sessions |= {session.session_id: session for session in rows.sessions}
        self.events += rows.events
        self.runs |= {run.run_id: run for run in rows.runs}
        for run_id, status in rows.run_status:
            self.runs[run_id] = msgspec.structs.replace(self.runs[run_id], status=status)
        self.nonces |= set(rows.nonces)
        self.keys |= {(key.scope, key.key): (key.body_hash, key.answer) for key in rows.keys}
        self.calls += rows.calls
        self.owed = (self.owed | {call.call_id for call in rows.calls}) - set(rows.answered_calls)
        self.unused = batch.unused_sessions
        self.stopped += rows.stopped_calls
        return answers

    def _facts(self, turns: Sequence[Turn]) -> BatchFacts:
        locked = {session_id: replace(session) for session_id, session in self.sessions.items()}
        for turn in turns:
            opening = turn.opening
            if opening is not None and turn.session_id not in locked:
                locked[turn.session_id] = Session(
                    opening.session_id, opening.user_id, 0, opening.at_ms, opening.signed, None, "{}", True
                )
        runs = {run_id: facts_of(run) for run_id, run in self.runs.items()}
        for run_id in runs.keys() & {turn.run_id for turn in turns if turn.cancels}:
            owed = tuple(call.call_id for call in self.calls if call.run_id == run_id and call.call_id in self.owed)
            runs[run_id] = replace(runs[run_id], calls=owed)
        return BatchFacts(locked, set(self.nonces), dict(self.keys), runs, set(self.owed))

    def timeline(self, session_id: str) -> list[EventRow]:
        return [event for event in self.events if event.session_id == session_id]

    def kinds(self, session_id: str) -> list[str]:
        return [event.kind for event in self.timeline(session_id)]

    def shown(self, session_id: str) -> list[dict[str, Any]]:
        """The interaction events on a timeline."""
        return [
            codec.decode(event.payload.encode(), dict[str, Any])["event"]
            for event in self.timeline(session_id)
            if event.kind == "interaction"
        ]


def facts_of(run: RunRow) -> RunFacts:
    return RunFacts(
        run.run_id,
        run.session_id,
        run.user_id,
        run.provider_id,
        run.mode,
        run.routing_mode,
        run.idempotency_key,
        run.status,
    )


def ingest(
    text: str = "你好",
    *,
    session: str = "s",
    user: str = "u",
    at_ms: int = NOW_MS,
    signed: bool = False,
    nonce: str | None = None,
    key: str | None = None,
    body_hash: bytes = b"#",
    locale: str | None = None,
    timezone: str | None = None,
    catalogue: Catalogue = CATALOGUE,
) -> Turn:
    message = UnifiedUserInput(
        schema_version="v0",
        trace_id="t",
        user_id=user,
        session_id=session,
        source="wechat" if signed else "app",
        timestamp_ms=at_ms,
        text=text,
        locale=locale,
        timezone=timezone,
    )
    return Turn(
        session_id=session,
        decide=Ingest(message, catalogue, Caller(signed)).decide,
        opening=Opening(session, user, signed, activity_ms(at_ms, NOW_MS)),
        nonce=nonce,
        idempotency=Idempotency(f"ingest:{user}", key, body_hash) if key is not None else None,
    )


def interact(
    action_id: str,
    *,
    session: str = "s",
    user: str = "u",
    provider: str = "plan",
    run_id: str = "run",
    signed: bool = False,
    payload: object = None,
    at_ms: int = NOW_MS,
) -> Turn:
    interaction = UserInteraction(
        schema_version="v0",
        trace_id="t",
        session_id=session,
        user_id=user,
        provider_id=provider,
        run_id=run_id,
        action_id=action_id,
        payload=payload,
        timestamp_ms=at_ms,
    )
    of_session = action_id.startswith((SWITCH, NEW_SESSION))
    return Turn(
        session_id=session,
        decide=Interact(interaction, CATALOGUE, Caller(signed)).decide,
        run_id=None if of_session else run_id,
        follows_successor=of_session,
    )


def decoded(answer: bytes | UniAssistError) -> dict[str, Any]:
    assert isinstance(answer, bytes), answer
    return codec.decode(answer, dict[str, Any])
