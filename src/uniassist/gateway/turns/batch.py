"""What a batch of turns does to the sessions locked for it. No I/O: the group commit looks up and writes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from uniassist.errors import (
    IdempotencyMismatch,
    InvalidSignature,
    SessionNotFound,
    Unavailable,
    UniAssistError,
)
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.turn import Turn
from uniassist.store.ledger import KeyRow, Rows, RunFacts, Session


class CallLost(UniAssistError):
    """The lease of this provider call went to another gateway, which will answer for it."""


@dataclass
class BatchFacts:
    """What was looked up for a batch.

    `sessions`: all of them locked. One with `is_new` was opened only to be locked: it belongs to nobody yet.
    `nonces`: those of the batch that are used up.
    `keys`: (scope, key) → (body hash, answer).
    `runs`: those that turns of the batch ask for, by id.
    `calls`: those that we still have the lease of.
    `shortened`: sessions whose successor here is the newest one, while the database holds one in between.
    """

    sessions: dict[str, Session] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    keys: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    runs: dict[str, RunFacts] = field(default_factory=dict)
    calls: set[str] = field(default_factory=set)
    shortened: set[str] = field(default_factory=set)


class Batch:
    """Lets turns decide one after the other; each sees what those before it did."""

    def __init__(self, facts: BatchFacts, now_ms: int) -> None:
        self._facts = facts
        self._now_ms = now_ms
        self._changed: dict[str, Session] = {}
        self._rows = Rows()

    @property
    def rows(self) -> Rows:
        """What the turns so far want written."""
        self._rows.sessions = list(self._changed.values())
        return self._rows

    @property
    def unused_sessions(self) -> list[str]:
        """Sessions that were opened for turns which were then refused."""
        return [session.session_id for session in self._facts.sessions.values() if session.is_new]

    def decide(self, turn: Turn) -> bytes:
        """The turn's answer. What it raises leaves no trace: no event, no session, no nonce."""
        facts, key = self._facts, turn.idempotency
        if turn.nonce is not None and turn.nonce in facts.nonces:
            raise InvalidSignature("x-uniassist-nonce: used before; expected a fresh one for each request")
        session = self._session(turn)
        if key is not None and (kept := facts.keys.get((key.scope, key.key))) is not None:
            if key.body_hash and kept[0] != key.body_hash:
                raise IdempotencyMismatch("Idempotency-Key: was used with another body; expected a new key")
            self._use_nonce(turn)
            if turn.allowance is not None:
                turn.allowance.note(0)  # what it opened when it was decided before isn't written
            return kept[1]
        if turn.call_id is not None and turn.call_id not in facts.calls:
            raise CallLost("another gateway answers for this call")
        draft = Draft(session, self._now_ms, turn.traceparent)
        answer = turn.decide(draft, self._run(turn))
        if turn.allowance is not None:
            turn.allowance.note(sum(session.is_new for session in draft.rows.sessions))
        self._keep(draft)
        self._shorten(facts.sessions[turn.session_id], draft.session)
        self._use_nonce(turn)
        if turn.call_id is not None and turn.ends_call:
            self._rows.answered_calls.append(turn.call_id)
            facts.calls.discard(turn.call_id)
        if key is not None:
            self._rows.keys.append(KeyRow(key.scope, key.key, key.body_hash, answer))
            facts.keys[key.scope, key.key] = (key.body_hash, answer)
        return answer

    def _run(self, turn: Turn) -> RunFacts | None:
        """The turn's run; its calls without those that the batch has answered."""
        run = self._facts.runs.get(turn.run_id) if turn.run_id is not None else None
        if run is None or not run.calls:
            return run
        return replace(run, calls=tuple(each for each in run.calls if each not in self._rows.answered_calls))

    def _session(self, turn: Turn) -> Session:
        """The session that the turn goes to: the newest of its line, unless it asks for the very one it names."""
        session = self._facts.sessions.get(turn.session_id)
        opening = turn.opening
        if session is None or (session.is_new and opening is None):
            raise SessionNotFound("sessionId: no such session")
        if session.is_new and opening is not None:
            return replace(
                session,
                user_id=opening.user_id,
                signed=opening.signed,
                subject=opening.subject,
                last_activity_ms=opening.at_ms,
            )
        while turn.follows_successor and session.successor_id is not None:  # ends: a line of sessions has no ring
            session = self._facts.sessions.get(session.successor_id)
            if session is None:
                raise Unavailable("the session goes on in another one since a moment ago; try again")
        return session

    def _keep(self, draft: Draft) -> None:
        for session in draft.rows.sessions:
            session.is_new = False
            self._change(session)
        self._rows.events += draft.rows.events
        self._rows.runs += draft.rows.runs
        self._rows.run_status += draft.rows.run_status
        self._rows.run_deadlines |= draft.rows.run_deadlines
        for run_id, status in draft.rows.run_status:
            if (run := self._facts.runs.get(run_id)) is not None:  # the next turn of the batch sees it
                self._facts.runs[run_id] = replace(run, status=status)
        self._rows.calls += draft.rows.calls
        self._rows.answered_calls += draft.rows.answered_calls
        self._facts.calls.difference_update(draft.rows.answered_calls)
        self._rows.stopped_calls += draft.rows.stopped_calls

    def _shorten(self, named: Session, newest: Session) -> None:
        """The session that clients still name points at the newest at once: its line stays short to walk."""
        if named.successor_id is None or named.session_id == newest.session_id:
            return
        if named.successor_id != newest.session_id or named.session_id in self._facts.shortened:
            self._change(replace(named, successor_id=newest.session_id))

    def _change(self, session: Session) -> None:
        self._facts.sessions[session.session_id] = self._changed[session.session_id] = session

    def _use_nonce(self, turn: Turn) -> None:
        if turn.nonce is not None:
            self._rows.nonces.append(turn.nonce)
            self._facts.nonces.add(turn.nonce)
