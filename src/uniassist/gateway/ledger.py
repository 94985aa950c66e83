"""Group commit: turns that arrive together share a transaction, and none is answered before it is durable.

While one transaction is on its way the next turns gather; an idle gateway commits at once. A turn that fails in
its own decision fails alone. When a statement fails (two gateways wrote the same nonce, say), the turns of the
batch are tried one by one, so that a bad one never takes its neighbours with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import asyncpg
import structlog

from uniassist.errors import (
    IdempotencyMismatch,
    InvalidSignature,
    SessionNotFound,
    Unavailable,
    UniAssistError,
)
from uniassist.gateway.draft import Draft
from uniassist.gateway.ids import now_ms
from uniassist.gateway.turns import Turn
from uniassist.store import ledger as store
from uniassist.store.ledger import KeyRow, Rows, RunFacts, Session
from uniassist.store.pool import Connection, Pool

log = structlog.get_logger()

MAX_BATCH = 256
MAX_TRIES = 4
ANSWER_SECONDS = 15.0
# Faults of the way to Postgres, not of what was written.
OUTAGE = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)
_SERVER_OUTAGE = (
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DiskFullError,
)


class CallLost(UniAssistError):
    """The lease of this provider call went to another gateway, which will answer for it."""


@dataclass
class Committed:
    """What a batch wrote, for those who act after the commit."""

    rows: Rows


@dataclass
class _Waiting:
    turn: Turn
    answer: asyncio.Future[bytes]


@dataclass
class _Facts:
    sessions: dict[str, Session]
    nonces: set[str]
    keys: dict[tuple[str, str], tuple[bytes, bytes]]
    runs: dict[str, RunFacts]
    calls: set[str]


@dataclass
class _Outcome:
    answers: list[tuple[_Waiting, bytes | UniAssistError]] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)


class Ledger:
    """`submit` a turn, get its answer once it is committed."""

    def __init__(
        self,
        pool: Pool,
        *,
        owner: str,
        queue_size: int,
        lease_seconds: float,
        max_attempts: int,
        after_commit: Callable[[Committed], None],
        writers: int = 2,
    ) -> None:
        self._pool = pool
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._after_commit = after_commit
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(queue_size)
        self._writer_count = writers
        self._writers: list[asyncio.Task[None]] = []
        self._stopping = False
        self.errors = 0

    def start(self) -> None:
        self._writers = [
            asyncio.create_task(self._write_batches(), name=f"ledger-{number}")
            for number in range(self._writer_count)
        ]

    async def stop(self) -> None:
        """Refuse new turns, commit those that wait, end."""
        self._stopping = True
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._queue.join()
        except TimeoutError:
            log.warning("ledger stopped with turns waiting", turns=self._queue.qsize())
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)

    async def submit(self, turn: Turn) -> bytes:
        """The turn's answer, after its commit. Unavailable: not acknowledged, safe to send again with its key."""
        if self._stopping:
            raise Unavailable("the gateway is stopping; try again")
        waiting = _Waiting(turn, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise Unavailable("too many inputs wait for their commit; try again") from None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await waiting.answer
        except TimeoutError:
            raise Unavailable(f"not committed within {ANSWER_SECONDS:.0f} s; try again with the same key") from None

    async def _write_batches(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            # Whoever gave up waiting (a dropped connection, the deadline) wants nothing written any more.
            live = [waiting for waiting in batch if not waiting.answer.done()]
            try:
                if live:
                    await self._commit(live)
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _commit(self, batch: list[_Waiting], tries: int = 1) -> None:
        try:
            outcome = await self._transaction(batch)
        except (*OUTAGE, *_SERVER_OUTAGE) as error:
            self.errors += 1
            log.warning("not committed: Postgres is away", error=repr(error), turns=len(batch))
            _refuse(batch, Unavailable("the database is away; nothing was written, try again"))
        except Exception as error:
            self.errors += 1
            if len(batch) > 1:
                for waiting in batch:
                    await self._commit([waiting])
            elif tries < MAX_TRIES and isinstance(
                error, asyncpg.IntegrityConstraintViolationError | asyncpg.TransactionRollbackError
            ):
                await self._commit(batch, tries + 1)
            else:
                log.error("a turn can't be committed", error=repr(error), session=batch[0].turn.session_id)
                _fail(batch[0], error)
        else:
            for waiting, answer in outcome.answers:
                if isinstance(answer, bytes):
                    if not waiting.answer.done():
                        waiting.answer.set_result(answer)
                else:
                    _fail(waiting, answer)
            if outcome.rows.events or outcome.rows.calls:
                self._after_commit(Committed(outcome.rows))

    async def _transaction(self, batch: Sequence[_Waiting]) -> _Outcome:
        async with self._pool.acquire(timeout=5.0) as connection, connection.transaction():
            facts = await self._look_up(connection, [waiting.turn for waiting in batch])
            outcome = _decide_all(batch, facts)
            rows = outcome.rows
            if rows.sessions or rows.nonces or rows.keys or rows.settled_calls:
                await store.write(
                    connection,
                    rows,
                    max_attempts=self._max_attempts,
                    lease_owner=self._owner,
                    lease_seconds=self._lease_seconds,
                )
            return outcome

    async def _look_up(self, connection: Connection, turns: Sequence[Turn]) -> _Facts:
        openings = [turn.opening for turn in turns if turn.opening is not None]
        sessions = await store.lock_sessions(connection, openings, {turn.session_id for turn in turns})
        follow = {turn.session_id for turn in turns if turn.follows_successor}
        for _ in range(64):  # a chain grows by one a day at most, and splits shorten it
            ends = {s.successor_id for s in sessions.values() if s.successor_id and s.session_id in follow}
            missing = ends - sessions.keys()
            if not missing:
                break
            sessions |= await store.lock_sessions(connection, (), missing)
            follow |= missing
        nonces = [turn.nonce for turn in turns if turn.nonce is not None]
        keys = [(turn.idempotency.scope, turn.idempotency.key) for turn in turns if turn.idempotency]
        runs = [turn.run_id for turn in turns if turn.run_id is not None]
        calls = sorted(turn.call_id for turn in turns if turn.call_id is not None)
        return _Facts(
            sessions,
            await store.known_nonces(connection, nonces) if nonces else set(),
            await store.known_keys(connection, keys) if keys else {},
            await store.known_runs(connection, runs) if runs else {},
            await store.held_calls(connection, calls, self._owner) if calls else set(),
        )


def _decide_all(batch: Sequence[_Waiting], facts: _Facts) -> _Outcome:
    outcome, at_ms = _Outcome(), now_ms()
    changed: dict[str, Session] = {}
    for waiting in batch:
        try:
            answer = _decide(waiting.turn, facts, outcome.rows, changed, at_ms)
        except UniAssistError as error:
            outcome.answers.append((waiting, error))
        else:
            outcome.answers.append((waiting, answer))
    outcome.rows.sessions = list(changed.values())
    return outcome


def _decide(turn: Turn, facts: _Facts, rows: Rows, changed: dict[str, Session], at_ms: int) -> bytes:
    if turn.nonce is not None and turn.nonce in facts.nonces:
        raise InvalidSignature("x-uniassist-nonce: used before; expected a fresh one for each request")
    origin = session = facts.sessions.get(turn.session_id)
    while session is not None and turn.follows_successor and session.successor_id is not None:
        session = facts.sessions[session.successor_id]
    if session is None:
        raise SessionNotFound("sessionId: no such session")
    key = turn.idempotency
    if key is not None and (kept := facts.keys.get((key.scope, key.key))) is not None:
        if key.body_hash and kept[0] != key.body_hash:
            raise IdempotencyMismatch("Idempotency-Key: was used with another body; expected a new key")
        _use_nonce(turn, facts, rows)
        return kept[1]
    if turn.call_id is not None and turn.call_id not in facts.calls:
        raise CallLost("another gateway answers for this call")
    draft = Draft(session, at_ms, turn.traceparent)
    run = facts.runs.get(turn.run_id) if turn.run_id is not None else None
    answer = turn.decide(draft, run)
    _keep(draft, facts, rows, changed)
    if origin is not None and origin is not session and draft.session.session_id != session.session_id:
        # The session that clients still name points at the newest at once: the chain stays short.
        shortcut = replace(origin, successor_id=draft.session.session_id)
        facts.sessions[origin.session_id] = changed[origin.session_id] = shortcut
    _use_nonce(turn, facts, rows)
    if turn.call_id is not None:
        rows.settled_calls.append(turn.call_id)
        facts.calls.discard(turn.call_id)
    if key is not None:
        rows.keys.append(KeyRow(key.scope, key.key, key.body_hash, answer))
        facts.keys[key.scope, key.key] = (key.body_hash, answer)
    return answer


def _keep(draft: Draft, facts: _Facts, rows: Rows, changed: dict[str, Session]) -> None:
    for session in draft.rows.sessions:
        facts.sessions[session.session_id] = session
        changed[session.session_id] = session
    rows.events += draft.rows.events
    rows.runs += draft.rows.runs
    rows.run_status += draft.rows.run_status
    rows.calls += draft.rows.calls


def _use_nonce(turn: Turn, facts: _Facts, rows: Rows) -> None:
    if turn.nonce is not None:
        rows.nonces.append(turn.nonce)
        facts.nonces.add(turn.nonce)


def _refuse(batch: Sequence[_Waiting], error: UniAssistError) -> None:
    for waiting in batch:
        _fail(waiting, error)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
