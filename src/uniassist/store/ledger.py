"""One batch of turns as rows: what is locked and looked up before, and all that is written after, set-based."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from uniassist.contracts.inputs import Mode
from uniassist.contracts.timeline import RoutingMode, RunStatus
from uniassist.store.queries import composed, statements
from uniassist.store.server.pool import Connection, Record

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST_MS = 253_402_300_799_000  # the end of the year 9999; a client's clock may say anything


@dataclass
class Session:
    """A locked session. `state` is the routing memory as JSON, `subject` the app token's that owns it."""

    session_id: str
    user_id: str
    seq: int
    last_activity_ms: int
    signed: bool
    successor_id: str | None
    state: str
    is_new: bool
    subject: str | None = None


@dataclass(frozen=True)
class Opening:
    """How a session begins when it isn't there."""

    session_id: str
    user_id: str
    signed: bool
    at_ms: int
    subject: str | None = None


@dataclass(frozen=True)
class Seen:
    """A session that isn't locked.

    `version`: of its row; None: there is none, and the session is new.
    `is_used`: the nonce or the key that was asked for with it is used.
    """

    session: Session
    version: int | None
    is_used: bool


class EventRow(msgspec.Struct, frozen=True):
    event_id: str
    trace_id: str
    session_id: str
    user_id: str
    provider_id: str | None
    run_id: str | None
    seq: int
    timestamp_ms: int
    kind: str
    extension_kind: str | None
    render_schema_ref: str | None
    payload: str
    traceparent: str | None


class RunRow(msgspec.Struct, frozen=True):
    run_id: str
    trace_id: str
    session_id: str
    user_id: str
    provider_id: str
    mode: Mode
    routing_mode: RoutingMode
    idempotency_key: str
    status: RunStatus
    score: float | None


class CallRow(msgspec.Struct, frozen=True):
    """A call owed to a provider; `request` is the body to send, `kind` invoke or interact."""

    call_id: str
    run_id: str
    session_id: str
    provider_id: str
    kind: str
    request: str
    traceparent: str | None


class KeyRow(msgspec.Struct, frozen=True):
    scope: str
    key: str
    body_hash: bytes
    answer: bytes


@dataclass(frozen=True)
class RunFacts:
    """What a later turn needs of a run, as it was opened; `status` is the present one.

    `calls`: those that its provider owes an answer to, looked up for who cancels.
    """

    run_id: str
    session_id: str
    user_id: str
    provider_id: str
    mode: Mode
    routing_mode: RoutingMode
    idempotency_key: str
    status: RunStatus
    calls: tuple[str, ...] = ()


@dataclass
class Rows:
    """What a batch writes. Events are in order: a session's seq rises along the list.

    `run_deadlines`: of each run that is `running` from now on, in Unix milliseconds.
    `stopped_calls`: of runs that ended before; their providers are hung up on. They are among the answered.
    """

    sessions: list[Session] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    run_status: list[tuple[str, RunStatus]] = field(default_factory=list)
    run_deadlines: dict[str, int] = field(default_factory=dict)
    calls: list[CallRow] = field(default_factory=list)
    answered_calls: list[str] = field(default_factory=list)
    stopped_calls: list[str] = field(default_factory=list)
    nonces: list[str] = field(default_factory=list)
    keys: list[KeyRow] = field(default_factory=list)


async def lock_sessions(
    connection: Connection, openings: Iterable[Opening], session_ids: Iterable[str]
) -> dict[str, Session]:
    """Open what is missing and lock all, in id order, so that two batches never wait for each other in a ring."""
    wanted = set(session_ids)
    by_id = {opening.session_id: opening for opening in openings}
    found: dict[str, Session] = {}
    for _ in range(3):  # the second look is for sessions that another batch opened in between
        missing = wanted - found.keys()
        if not missing:
            break
        opened = [by_id[session_id] for session_id in sorted(missing & by_id.keys())]
        rows = await connection.fetch(*locking(opened, sorted(missing)))
        found |= {row["session_id"]: _session(row) for row in rows}
        if not by_id.keys() & (wanted - found.keys()):
            break
    return found


def locking(opened: Sequence[Opening], locked_ids: Sequence[str]) -> tuple[Any, ...]:
    """`(sql, *arguments)` that opens what is missing and locks what is there, in the order given."""
    return statements("ledger")["open_and_lock"](
        opened_ids=[opening.session_id for opening in opened],
        opened_user_ids=[opening.user_id for opening in opened],
        opened_signed=[opening.signed for opening in opened],
        opened_at=[_time(opening.at_ms) for opening in opened],
        opened_subjects=[opening.subject for opening in opened],
        locked_ids=locked_ids,
    )


async def seen_session(
    connection: Connection, opening: Opening, nonce: str | None, key: tuple[str, str] | None
) -> Seen:
    """The opening's session as it is, unlocked; one that is missing as if it were just opened."""
    scope, name = key or (None, None)
    statement = statements("ledger")["seen"](session_id=opening.session_id, nonce=nonce, scope=scope, key=name)
    row = await connection.fetchrow(*statement)
    assert row is not None, "it has one"
    if row["version"] is not None:
        return Seen(_session(row), row["version"], row["is_used"])
    session_id, user_id, signed, at_ms, subject = dataclasses.astuple(opening)
    opened = Session(session_id, user_id, 0, at_ms, signed, None, "{}", True, subject)
    return Seen(opened, None, row["is_used"])


def _session(row: Record) -> Session:
    return Session(
        session_id=row["session_id"],
        user_id=row["user_id"],
        seq=row["seq"],
        last_activity_ms=round((row["last_activity_at"] - _EPOCH).total_seconds() * 1000),
        signed=row["signed"],
        successor_id=row["successor_id"],
        state=row["state"],
        is_new=row["is_new"],
        subject=row["subject"],
    )


async def newest_sessions(connection: Connection, session_ids: Iterable[str]) -> dict[str, str]:
    """For each session the last of its line of successors, as of now, unlocked."""
    rows = await connection.fetch(*statements("ledger")["newest_sessions"](session_ids=list(session_ids)))
    return {row["origin"]: row["session_id"] for row in rows}


async def unlocked_sessions(connection: Connection, session_ids: Iterable[str]) -> set[str]:
    """Those that nobody holds a lock on right now, and those that don't exist."""
    wanted = set(session_ids)
    rows = await connection.fetch(*statements("ledger")["locked_sessions"](session_ids=list(wanted)))
    return wanted - {row["session_id"] for row in rows}


async def forget_sessions(connection: Connection, session_ids: Sequence[str]) -> None:
    """Undo the opening of sessions that this transaction locked and then didn't use."""
    await connection.execute(*statements("ledger")["forget_sessions"](session_ids=session_ids))


async def known_nonces(connection: Connection, nonces: Sequence[str]) -> set[str]:
    rows = await connection.fetch(*statements("ledger")["known_nonces"](nonces=nonces))
    return {row["nonce"] for row in rows}


async def known_keys(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """(scope, key) → (body hash, answer)."""
    statement = statements("ledger")["known_keys"]
    rows = await connection.fetch(*statement(scopes=[k[0] for k in keys], keys=[k[1] for k in keys]))
    return {(row["scope"], row["key"]): (row["body_hash"], row["answer"]) for row in rows}


async def held_calls(connection: Connection, call_ids: Sequence[str], owner: str) -> set[str]:
    """Those of `call_ids` that `owner` still has the lease of, locked until the commit (the fence of a result)."""
    rows = await connection.fetch(*statements("ledger")["held_calls"](call_ids=call_ids, owner=owner))
    return {row["call_id"] for row in rows}


async def known_runs(connection: Connection, run_ids: Sequence[str]) -> dict[str, RunFacts]:
    rows = await connection.fetch(*statements("ledger")["known_runs"](run_ids=run_ids))
    return {row["run_id"]: RunFacts(**dict(row)) for row in rows}


async def calls_of_runs(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The calls that are owed of each, locked: none is answered meanwhile."""
    found: dict[str, tuple[str, ...]] = {}
    for row in await connection.fetch(*statements("ledger")["calls_of_runs"](run_ids=run_ids)):
        found[row["run_id"]] = (*found.get(row["run_id"], ()), row["call_id"])
    return found


def writing(
    rows: Rows, *, max_attempts: int, lease_owner: str, lease_seconds: float, decided_on: Seen | None = None
) -> tuple[Any, ...]:
    """`(sql, *arguments)` of everything of the batch, in one statement, whose only value says whether it's written.

    `decided_on`: how the batch's only session was seen, which nobody has locked. If it isn't so any more, nothing
    at all is written.
    """
    parts: dict[str, dict[str, object]] = {}
    if decided_on is None:
        parts["sessions"] = _session_columns(sorted(rows.sessions, key=lambda session: session.session_id))
    else:
        (session,) = rows.sessions
        columns = {
            name: getattr(session, name) for name in ("session_id", "user_id", "seq", "signed", "state", "subject")
        }
        columns["last_activity_at"] = _time(session.last_activity_ms)
        if decided_on.version is None:
            parts["beginning"] = columns
        else:
            parts["going_on"] = columns | {"version": decided_on.version}
    if rows.events:
        parts["events"] = {**_columns("events", EventRow, rows.events), "max_attempts": max_attempts}
    if rows.runs:
        parts["runs"] = _columns("runs", RunRow, rows.runs)
    if rows.run_status:
        parts["run_status"] = _status_columns(rows)
    if rows.calls:
        lease = {"lease_owner": lease_owner, "lease": dt.timedelta(seconds=lease_seconds)}
        parts["calls"] = {**_columns("calls", CallRow, rows.calls), **lease}
    if rows.answered_calls:
        parts["answered_calls"] = {"answered_call_ids": rows.answered_calls}
    if rows.nonces:
        parts["nonces"] = {"nonces": rows.nonces}
    if rows.keys:
        parts["keys"] = _columns("keys", KeyRow, rows.keys)
    values = {name: value for columns in parts.values() for name, value in columns.items()}
    return composed("ledger_write", tuple(parts), "end")(**values)


def _status_columns(rows: Rows) -> dict[str, object]:
    return {
        "changed_run_ids": [run_id for run_id, _ in rows.run_status],
        "changed_run_statuses": [status for _, status in rows.run_status],
        "changed_run_deadlines": [
            _time(rows.run_deadlines[run_id]) if status == "running" else None for run_id, status in rows.run_status
        ],
    }


def _session_columns(sessions: Sequence[Session]) -> dict[str, object]:
    return {
        "sessions_session_id": [session.session_id for session in sessions],
        "sessions_user_id": [session.user_id for session in sessions],
        "sessions_seq": [session.seq for session in sessions],
        "sessions_last_activity_at": [_time(session.last_activity_ms) for session in sessions],
        "sessions_signed": [session.signed for session in sessions],
        "sessions_successor_id": [session.successor_id for session in sessions],
        "sessions_state": [session.state for session in sessions],
        "sessions_subject": [session.subject for session in sessions],
    }


def _columns(table: str, shape: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> dict[str, object]:
    """The statement's parameters for these rows: `<table>_<field>`, a sequence each."""
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return {f"{table}_{name}": column for name, column in zip(shape.__struct_fields__, columns, strict=True)}


def _time(at_ms: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(milliseconds=min(max(at_ms, 0), _LATEST_MS))
