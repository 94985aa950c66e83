"""Group commit: turns that arrive together share a transaction, and none is answered before it is durable.

While one transaction is under way the next turns gather, until only its commit is left: while that waits for the
disk the next one is written. An idle gateway commits at once.
A turn that its own decision refuses fails alone.
A turn that comes alone locks nothing: it is decided on a look at its session, and written in one statement, which
does nothing where the session isn't as it was seen. Then it goes the way of all others.
When a statement fails (another gateway wrote the same nonce, say), each turn of the batch gets a transaction of its
own, so that a bad one never takes its neighbours with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from uniassist.errors import (
    InvalidRequest,
    Locked,
    NotStorable,
    Outage,
    ServerFault,
    TryAgain,
    Unavailable,
    UniAssistError,
)
from uniassist.gateway.turns.batch import Batch, BatchFacts
from uniassist.gateway.turns.ids import now_ms
from uniassist.gateway.turns.turn import Turn
from uniassist.store import ledger as store
from uniassist.store.ledger import Rows, Seen, Session
from uniassist.store.server.pool import Connection, Pool
from uniassist.tracing import NO_SPANS, Spans

log = structlog.get_logger()

MAX_BATCH = 256
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_QUEUED_BYTES = 64 * 1024 * 1024
MAX_TRIES = 4
MAX_LOOKS = 8
ANSWER_SECONDS = 15.0
GATHER_SECONDS = 0.05


@dataclass
class _Waiting:
    turn: Turn
    answer: asyncio.Future[bytes]


@dataclass
class _Outcome:
    rows: Rows
    answers: list[tuple[_Waiting, bytes | UniAssistError]] = field(default_factory=list)


def _nothing() -> None:
    """Nobody waits for it."""


def _once(call: Callable[[], None]) -> Callable[[], None]:
    """`call`, the first time."""
    left = [call]

    def first() -> None:
        if left:
            left.pop()()

    return first


class GroupCommit:
    """Takes turns (`submit`) and answers each once it is committed.

    `owner`: names this gateway in the leases of calls.
    `queue_size`: turns that may wait; more are refused.
    `lease_seconds`: of the calls that turns owe.
    `max_attempts`: of the outbox events that turns cause.
    `after_commit`: called with a batch's rows, in the event loop, right after its commit.
    `writers`: transactions at once.
    `on_failed`: called for each transaction that failed.
    `written_alone`: turns that were written without a lock, since the start.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        owner: str,
        queue_size: int,
        lease_seconds: float,
        max_attempts: int,
        after_commit: Callable[[Rows], None],
        on_failed: Callable[[], None] = _nothing,
        writers: int = 2,
        spans: Spans = NO_SPANS,
    ) -> None:
        self._pool = pool
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._after_commit = after_commit
        self._on_failed = on_failed
        self._spans = spans
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(queue_size)
        self._writer_count = writers
        self._writing = asyncio.Lock()
        self._writers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._queued_bytes = 0
        self._lone: dict[str, asyncio.Future[None]] = {}  # by session: done when the turn is
        self.written_alone = 0

    def start(self) -> None:
        self._writers = [
            asyncio.create_task(self._write_batches(), name=f"group-commit-{number}")
            for number in range(self._writer_count)
        ]

    async def stop(self) -> None:
        """Refuse new turns, commit those that wait, end."""
        self._stopping = True
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._queue.join()
        except TimeoutError:
            log.warning("group commit stopped with turns waiting", turns=self._queue.qsize())
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)

    async def submit(self, turn: Turn) -> bytes:
        """The turn's answer, after its commit. Unavailable: not acknowledged; may be sent again with its key."""
        if self._stopping:
            raise Unavailable("the gateway is stopping; try again")
        waiting = _Waiting(turn, asyncio.get_running_loop().create_future())
        if self._queued_bytes + turn.size_bytes > MAX_QUEUED_BYTES or self._queue.full():
            raise Unavailable("too many inputs wait for their commit; try again")
        self._queue.put_nowait(waiting)
        self._queued_bytes += turn.size_bytes
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await waiting.answer
        except TimeoutError:
            raise Unavailable(f"not committed within {ANSWER_SECONDS:.0f} s; try again with the same key") from None
        finally:
            del waiting  # it holds a refusal, whose traceback holds this frame

    async def _write_batches(self) -> None:
        while True:
            batch = [await self._queue.get()]
            written = await self._until_only_commits()
            size_bytes = batch[0].turn.size_bytes
            while len(batch) < MAX_BATCH and size_bytes < MAX_BATCH_BYTES and not self._queue.empty():
                batch.append(self._queue.get_nowait())
                size_bytes += batch[-1].turn.size_bytes
            self._queued_bytes -= size_bytes
            # Whoever gave up waiting (a dropped connection, the deadline) wants nothing written any more.
            live = [waiting for waiting in batch if not waiting.answer.done()]
            try:
                if live:
                    await self._after_lone(live)
                    await self._commit_in_order(live, written)
            except Exception as error:  # whatever it is, the next batch needs a writer
                log.error("the group commit failed", exc_info=error)
                _refuse(live, error)
            finally:
                written()
                for _ in batch:
                    self._queue.task_done()

    async def _until_only_commits(self) -> Callable[[], None]:
        """Wait until no other transaction has more to do than to commit; what is returned says so of the next one.

        Not for long: that one may wait for a lock, and it is no matter of other sessions.
        """
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._writing.acquire()
        except TimeoutError:
            return _nothing
        return _once(self._writing.release)

    async def _after_lone(self, batch: Sequence[_Waiting]) -> None:
        """Turns of one session are written as they came; one that goes alone has no lock that would see to it.

        Not for long, as above.
        """
        before = [self._lone[name] for name in {each.turn.session_id for each in batch} & self._lone.keys()]
        if before:
            await asyncio.wait(before, timeout=GATHER_SECONDS)

    async def _commit_in_order(self, batch: list[_Waiting], written: Callable[[], None]) -> None:
        """Others of the session see, while it is under way, that a turn goes alone."""
        session_id = batch[0].turn.session_id
        if len(batch) > 1 or not batch[0].turn.may_go_alone:
            return await self._commit(batch, written=written)
        done = self._lone[session_id] = asyncio.get_running_loop().create_future()
        try:
            await self._commit(batch, written=written)
        finally:
            done.set_result(None)
            if self._lone.get(session_id) is done:
                del self._lone[session_id]

    async def _commit(
        self, batch: list[_Waiting], tries: int = 1, *, written: Callable[[], None] = _nothing
    ) -> None:
        """`written`: called when only the commit is left."""
        began_ns = time.time_ns()
        try:
            outcome = await self._alone(batch[0], written) if len(batch) == tries == 1 else None
            if outcome is None:
                outcome = await self._transaction(batch, written)
        except Outage as error:
            self._on_failed()
            log.warning("not committed", error=str(error), turns=len(batch))
            # Whether a commit under way went through isn't known, so "nothing was written" would be a guess.
            _refuse(batch, Unavailable("the database is away; try again, with the same key if there is one"))
        except Locked:
            self._on_failed()
            await self._commit_around_locks(batch, tries)
        except Exception as error:
            self._on_failed()
            await self._commit_after(error, batch, tries)
        else:
            for waiting, answer in outcome.answers:
                if isinstance(answer, bytes):
                    if not waiting.answer.done():
                        waiting.answer.set_result(answer)
                else:
                    _fail(waiting, answer)
            if self._spans.recording:
                traces = [
                    waiting.turn.traceparent for waiting, answer in outcome.answers if isinstance(answer, bytes)
                ]
                batched = {"uniassist.batch": len(batch)}
                self._spans.note("commit", "internal", traces, began_ns=began_ns, attributes=batched)
            if outcome.rows.events or outcome.rows.calls:
                self._after_commit(outcome.rows)

    async def _commit_after(self, error: Exception, batch: list[_Waiting], tries: int) -> None:
        """A batch that failed for something in it is tried turn by turn; a lone turn again, where that may help."""
        if len(batch) > 1:
            await self._commit_each(batch)
        elif tries < MAX_TRIES and isinstance(error, TryAgain):
            await self._commit(batch, tries + 1)
        elif isinstance(error, NotStorable):
            log.warning("an input can't be stored", error=repr(error), session=batch[0].turn.session_id)
            _fail(batch[0], InvalidRequest("body: holds a value that can't be stored"))
        else:
            log.error("a turn can't be committed", error=repr(error), session=batch[0].turn.session_id)
            _fail(batch[0], error)

    async def _commit_each(self, batch: Sequence[_Waiting], tries: int = 1) -> None:
        for waiting in batch:
            if not waiting.answer.done():  # whoever gave up meanwhile wants nothing written
                await self._commit([waiting], tries)

    async def _commit_around_locks(self, batch: list[_Waiting], tries: int) -> None:
        """A session is held for long, by an operator's open transaction, say: only that session's turns fail.

        A lock that can't be seen (of a session that another gateway opens) shows once each turn is tried alone.
        """
        try:
            free = await self._free_sessions({waiting.turn.session_id for waiting in batch})
        except ServerFault as error:
            log.warning("not committed", error=str(error), turns=len(batch))
            _refuse(batch, Unavailable("the database is away; try again, with the same key if there is one"))
            return
        busy = [waiting for waiting in batch if waiting.turn.session_id not in free]
        rest = [waiting for waiting in batch if waiting.turn.session_id in free]
        log.warning("not committed: sessions are locked", turns=len(busy) or len(batch))
        if not busy and len(rest) == 1 and tries >= MAX_TRIES:
            busy, rest = rest, []
        _refuse(busy, Unavailable("the session is locked by someone else; try again"))
        if not busy and rest:
            await self._commit_each(rest, MAX_TRIES)
        elif rest:
            await self._commit(rest, tries + 1)

    async def _free_sessions(self, session_ids: set[str]) -> set[str]:
        """The sessions that nobody holds a lock on, neither on them nor on the newest of their lines."""
        async with self._pool.acquire(timeout=5.0) as connection:
            newest = await store.newest_sessions(connection, session_ids)
            free = await store.unlocked_sessions(connection, session_ids | set(newest.values()))
        return {each for each in session_ids if each in free and newest.get(each, each) in free}

    async def _alone(self, waiting: _Waiting, written: Callable[[], None]) -> _Outcome | None:
        """The turn without a transaction around its look and its writing. None: nothing of it is written.

        A nonce or a key that is used after the look fails the statement.
        """
        turn = waiting.turn
        if not turn.may_go_alone:
            return None
        assert turn.opening is not None, "it may go alone"
        async with self._pool.acquire(timeout=5.0) as connection:
            if connection.is_behind_pooler:
                return None  # two statements take more round trips there than one transaction
            seen = await store.seen_session(connection, turn.opening, turn.nonce, turn.scoped_key)
            if seen.is_used or seen.session.successor_id is not None:
                return None
            batch = Batch(BatchFacts({turn.session_id: seen.session}), now_ms())
            try:
                answer = batch.decide(turn)
            except UniAssistError:
                return None  # because of a session that may have changed since
            rows = batch.rows
            if len(rows.sessions) != 1 or rows.sessions[0].successor_id is not None:
                return None
            written()
            try:
                if not await self._write(connection, rows, decided_on=seen):
                    return None
            except TryAgain:  # its key was used meanwhile, say
                return None
        self.written_alone += 1
        return _Outcome(rows, [(waiting, answer)])

    async def _write(self, connection: Connection, rows: Rows, decided_on: Seen | None = None) -> bool:
        sql, *arguments = store.writing(
            rows,
            max_attempts=self._max_attempts,
            lease_owner=self._owner,
            lease_seconds=self._lease_seconds,
            decided_on=decided_on,
        )
        return bool(await connection.fetchval(sql, *arguments))

    async def _transaction(self, waiting: Sequence[_Waiting], written: Callable[[], None]) -> _Outcome:
        async with self._pool.acquire(timeout=5.0) as connection, connection.transaction():
            batch = Batch(await self._look_up(connection, [each.turn for each in waiting]), now_ms())
            outcome = _Outcome(batch.rows)
            for each in waiting:
                try:
                    outcome.answers.append((each, batch.decide(each.turn)))
                except UniAssistError as error:
                    # Its traceback would hold this frame, which holds it: a ring, with the bodies of a whole batch.
                    outcome.answers.append((each, error.with_traceback(None)))
            rows = outcome.rows = batch.rows
            if rows.sessions or rows.nonces or rows.keys or rows.answered_calls:
                await self._write(connection, rows)
            if unused := batch.unused_sessions:
                await store.forget_sessions(connection, unused)
            written()
            return outcome

    async def _look_up(self, connection: Connection, turns: Sequence[Turn]) -> BatchFacts:
        openings = [turn.opening for turn in turns if turn.opening is not None]
        facts = BatchFacts(await store.lock_sessions(connection, openings, {turn.session_id for turn in turns}))
        await self._look_ahead(connection, facts, {turn.session_id for turn in turns if turn.follows_successor})
        nonces = [turn.nonce for turn in turns if turn.nonce is not None]
        keys = [turn.scoped_key for turn in turns if turn.scoped_key is not None]
        runs = [turn.run_id for turn in turns if turn.run_id is not None]
        calls = sorted(turn.call_id for turn in turns if turn.call_id is not None)
        facts.nonces = await store.known_nonces(connection, nonces) if nonces else set()
        facts.keys = await store.known_keys(connection, keys) if keys else {}
        facts.runs = await store.known_runs(connection, runs) if runs else {}
        if cancelled := [turn.run_id for turn in turns if turn.cancels and turn.run_id in facts.runs]:
            for run_id, owed in (await store.calls_of_runs(connection, cancelled)).items():
                facts.runs[run_id] = replace(facts.runs[run_id], calls=owed)
        facts.calls = await store.held_calls(connection, calls, self._owner) if calls else set()
        return facts

    @staticmethod
    async def _look_ahead(connection: Connection, facts: BatchFacts, named: set[str]) -> None:
        """Lock the newest session of each line, and let the line lead straight to it.

        The first look finds the line's end; another is needed when another gateway continues the line meanwhile.
        """
        sessions = facts.sessions
        for _ in range(MAX_LOOKS):
            ends = [_last_locked(sessions, session_id) for session_id in named & sessions.keys()]
            onward = {end.session_id: end.successor_id for end in ends if end.successor_id is not None}
            if not onward:
                return
            newest = await store.newest_sessions(connection, set(onward.values()))
            sessions |= await store.lock_sessions(connection, (), set(newest.values()) - sessions.keys())
            for session_id, successor_id in onward.items():
                if newest[successor_id] != successor_id:
                    sessions[session_id].successor_id = newest[successor_id]
                    facts.shortened.add(session_id)


def _last_locked(sessions: Mapping[str, Session], session_id: str) -> Session:
    session = sessions[session_id]
    while session.successor_id is not None and session.successor_id in sessions:  # ends: a line has no ring
        session = sessions[session.successor_id]
    return session


def _refuse(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        _fail(waiting, error)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
