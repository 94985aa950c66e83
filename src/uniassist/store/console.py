"""What the console reads, and the acts of operators, which it writes with the record of them in one transaction."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from uniassist.store import delivery, outbox
from uniassist.store.outbox import Replayed, Selection
from uniassist.store.queries import Statement, statements
from uniassist.store.server.pool import Connection, Pool, Record

Act = Literal["replay", "pause", "resume"]
TRACES_AMONG = 20_000  # of the newest events, where a trace is looked for
EXPORTED_AT_ONCE = 500
_SECONDS = 10.0


@dataclass(frozen=True)
class Actor:
    """Who acts, as the record says it. `via`: what let them in: token, proxy, this machine."""

    who: str
    via: str
    note: str


@dataclass(frozen=True)
class Filter:
    """Which rows of the outbox; None: whatever it is. `error`: a part of its last error, in whatever case."""

    status: str | None = None
    session_id: str | None = None
    event_id: str | None = None
    error: str | None = None
    older_than: dt.timedelta | None = None


@dataclass(frozen=True)
class Place:
    """An event's place: of which session and which trace it is."""

    event_id: str
    session_id: str
    trace_id: str
    run_id: str | None


@dataclass(frozen=True)
class Life:
    """All that is kept of one trace in its session."""

    events: Sequence[Record]
    runs: Sequence[Record]
    calls: Sequence[Record]
    replays: Sequence[Record]
    others: Sequence[Record]
    contexts: Sequence[Record]


async def sessions(pool: Pool, *, of: str | None, limit: int) -> list[Record]:
    """Newest activity first. `of`: a user's, or the one with this id."""
    if of is not None:
        return await pool.fetch(*_query("sessions_of")(of=of, limit=limit), timeout=_SECONDS)
    return await pool.fetch(*_query("recent_sessions")(limit=limit), timeout=_SECONDS)


async def find(pool: Pool, wanted: str) -> Place | None:
    """By the id of an event, a run or a trace; of the last only among the newest TRACES_AMONG events."""
    for query in (
        _query("event")(event_id=wanted),
        _query("event_of_run")(run_id=wanted),
        _query("event_of_trace")(trace_id=wanted, newest=TRACES_AMONG),
    ):
        row = await pool.fetchrow(*query, timeout=_SECONDS)
        if row is not None:
            return Place(row["event_id"], row["session_id"], row["trace_id"], row["run_id"])
    return None


async def life(pool: Pool, place: Place, *, limit: int, longest: int) -> Life:
    """At most `limit` events; payloads cut to `longest` characters."""
    of = {"session_id": place.session_id, "trace_id": place.trace_id}
    async with pool.acquire() as connection:
        events = await connection.fetch(*_query("life")(**of, limit=limit, longest=longest), timeout=_SECONDS)
        run_ids = sorted({row["run_id"] for row in events if row["run_id"] is not None})
        runs = await connection.fetch(*_query("life_runs")(**of, run_ids=run_ids), timeout=_SECONDS)
        run_ids = [row["run_id"] for row in runs]
        calls = await connection.fetch(*_query("life_calls")(run_ids=run_ids, longest=longest), timeout=_SECONDS)
        event_ids = [row["event_id"] for row in events]
        replays = await connection.fetch(*_query("life_replays")(event_ids=event_ids), timeout=_SECONDS)
        others = await connection.fetch(*_query("life_others")(**of, run_ids=run_ids), timeout=_SECONDS)
        contexts = await connection.fetch(
            *_query("life_contexts")(session_id=place.session_id, run_ids=run_ids), timeout=_SECONDS
        )
    return Life(events, runs, calls, replays, others, contexts)


async def list_outbox(pool: Pool, chosen: Filter, *, before: int | None, limit: int) -> list[Record]:
    """Newest first; `before`: those with a lower row id."""
    query = _query("outbox")(
        status=chosen.status,
        session_id=chosen.session_id,
        older_than=chosen.older_than,
        error=chosen.error,
        before=before,
        limit=limit,
    )
    return await pool.fetch(*query, timeout=_SECONDS)


async def replay(
    pool: Pool, chosen: Filter, *, limit: int, token: str, reset_attempts: bool, dry_run: bool, actor: Actor
) -> tuple[list[str], Replayed]:
    """Replay the dead letters that fit, oldest first: which, and what came of it. A dry run notes nothing."""
    query = _query("dead_letters")(
        session_id=chosen.session_id,
        event_id=chosen.event_id,
        older_than=chosen.older_than,
        error=chosen.error,
        limit=limit,
    )
    async with pool.acquire() as connection, connection.transaction():
        event_ids = [row["event_id"] for row in await connection.fetch(*query, timeout=_SECONDS)]
        done = await outbox.replay(
            connection,
            Selection(chosen.event_id, chosen.session_id, limit, among=event_ids),
            token=token,
            note=actor.note,
            reset_attempts=reset_attempts,
            dry_run=dry_run,
        )
        if not dry_run:
            target = {
                "filter": _given(chosen),
                "limit": limit,
                "events": event_ids[:100],
                "replayToken": token,
                "resetAttempts": reset_attempts,
            }
            await _note(connection, "replay", target, actor, asdict(done))
    return event_ids, done


async def pause(pool: Pool, actor: Actor) -> dict[str, Any]:
    """Stop delivery on all workers. What delivery is now: `paused_at, paused_by, reason`."""
    async with pool.acquire() as connection, connection.transaction():
        before = await delivery.control(connection)
        await delivery.pause(connection, who=actor.who, reason=actor.note)
        now = await delivery.control(connection)
        await _note(connection, "pause", {}, actor, {"wasPaused": before["paused_at"] is not None})
    return now


async def resume(pool: Pool, actor: Actor) -> dict[str, Any]:
    """Go on with delivery."""
    async with pool.acquire() as connection, connection.transaction():
        before = await delivery.control(connection)
        await delivery.resume(connection)
        now = await delivery.control(connection)
        await _note(connection, "resume", {}, actor, {"wasPaused": before["paused_at"] is not None})
    return now


async def acts(pool: Pool, *, before: int | None, limit: int) -> list[Record]:
    """Newest first."""
    return await pool.fetch(*_query("acts")(before=before, limit=limit), timeout=_SECONDS)


async def all_acts(pool: Pool) -> AsyncIterator[Record]:
    """Newest first, read in pages."""
    before: int | None = None
    while page := await acts(pool, before=before, limit=EXPORTED_AT_ONCE):  # ends: each page is of lower ids
        for row in page:
            yield row
        before = page[-1]["id"]


async def delivery_times(pool: Pool) -> Record:
    """`consumed, p50, p95` of the newest rows, the times in seconds; None where none is consumed."""
    row = await pool.fetchrow(*_query("delivery_times")(), timeout=5)
    assert row is not None, "an aggregate gives a row"
    return row


async def shards(pool: Pool) -> list[str | None]:
    """The owner of each shard, in their order; None: nobody's."""
    return [row["owner"] for row in await pool.fetch(*_query("shards")(), timeout=5)]


async def database(pool: Pool) -> Record | None:
    return await pool.fetchrow(*_query("database")(), timeout=5)


async def _note(
    connection: Connection, act: Act, target: dict[str, Any], actor: Actor, outcome: dict[str, Any]
) -> None:
    query = _query("note_act")(
        who=actor.who,
        via=actor.via,
        act=act,
        target=json.dumps(target, ensure_ascii=False),
        note=actor.note,
        outcome=json.dumps(outcome),
    )
    await connection.fetchrow(*query)


def _given(chosen: Filter) -> dict[str, Any]:
    found = {
        "sessionId": chosen.session_id,
        "eventId": chosen.event_id,
        "error": chosen.error,
        "olderThanSeconds": chosen.older_than.total_seconds() if chosen.older_than else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _query(name: str) -> Statement:
    return statements("console")[name]
