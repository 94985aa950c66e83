"""The outbox as operators see it: how much waits, which events, and the replay of dead letters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uniassist.store.queries import statements
from uniassist.store.server.pool import Connection, Pool, Record


@dataclass(frozen=True)
class Selection:
    """Which dead letters; all None means all, up to `limit`. `among`: only of these events."""

    event_id: str | None
    session_id: str | None
    limit: int
    among: Sequence[str] | None = None


@dataclass(frozen=True)
class Replayed:
    selected: int
    inserted: int
    updated: int


async def counts(pool: Pool) -> dict[str, int]:
    """Rows by state, attempts and the backlog's age. Reads the whole table: for a person, not for a scrape."""
    row = await pool.fetchrow(*statements("outbox")["counts"](), timeout=20)
    assert row is not None, "an aggregate gives a row"
    return {name: int(value) for name, value in row.items()}


async def stats(connection: Connection) -> list[dict[str, Any]]:
    """`status, events, oldest, oldest_seconds`. Counts the whole table: for a person, not for a scrape."""
    return [dict(row) for row in await connection.fetch(*statements("outbox")["stats"]())]


async def workers(connection: Connection) -> list[dict[str, Any]]:
    """`worker, consumed_per_second, shards` of each that is alive."""
    return [dict(row) for row in await connection.fetch(*statements("outbox")["workers"]())]


async def list_events(
    connection: Connection,
    *,
    status: str | None,
    session_id: str | None,
    older_than: dt.timedelta | None,
    limit: int,
) -> list[Record]:
    """Oldest first."""
    statement = statements("outbox")["list"]
    return list(
        await connection.fetch(*statement(status=status, session_id=session_id, older_than=older_than, limit=limit))
    )


async def show(connection: Connection, event_id: str) -> tuple[Record | None, list[Record]]:
    """The event's row, and the replays that moved it, oldest first."""
    queries = statements("outbox")
    row = await connection.fetchrow(*queries["show"](event_id=event_id))
    return row, list(await connection.fetch(*queries["replays_of"](event_id=event_id)))


async def inject(
    connection: Connection, *, event_id: str, session_id: str, status: str = "pending", attempts: int = 0
) -> None:
    """Write a row as an operator or a drill does, in a given state."""
    await connection.execute(
        *statements("outbox")["inject"](
            event_id=event_id,
            session_id=session_id,
            payload='{"injected": true}',
            status=status,
            attempts=attempts,
        )
    )


async def status_of(connection: Connection, event_id: str) -> str | None:
    """None when there is no such event."""
    found: str | None = await connection.fetchval(*statements("outbox")["status_of"](event_id=event_id))
    return found


async def replay(
    connection: Connection, chosen: Selection, *, token: str, note: str | None, reset_attempts: bool, dry_run: bool
) -> Replayed:
    """Move dead letters to failed, due now, at most once per (token, event)."""
    queries = statements("outbox")
    async with connection.transaction():
        rows = await connection.fetch(
            *queries["replay_select"](
                event_id=chosen.event_id,
                session_id=chosen.session_id,
                among=chosen.among,
                limit=chosen.limit,
                token=token,
            )
        )
        if dry_run or not rows:
            return Replayed(len(rows), 0, 0)
        logged = await connection.fetch(
            *queries["replay_log"](ids=[row["id"] for row in rows], token=token, note=note)
        )
        event_ids = [row["event_id"] for row in logged]
        answer = await connection.execute(
            *queries["replay_update"](event_ids=event_ids, reset_attempts=reset_attempts, token=token)
        )
    return Replayed(len(rows), len(logged), int(answer.rsplit(" ", 1)[1]))
