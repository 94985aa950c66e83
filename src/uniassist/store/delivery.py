"""What the delivery engine reads and writes; every write names the state, and the owner, that it expects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from uniassist.contracts.timeline import Kind
from uniassist.store import pool as pools
from uniassist.store.pool import Pool
from uniassist.store.queries import load

STATEMENT_SECONDS = 15.0
COUNTED_UP_TO = 1_000_000


@dataclass(frozen=True)
class Beat:
    """Shards kept and taken, with their tokens; `others`: live workers besides this one; `strays`: rescue them."""

    kept: dict[int, int]
    taken: dict[int, int]
    others: int
    paused: bool
    pending: bool
    due: bool
    strays: bool


@dataclass(frozen=True)
class Rescued:
    """Rows returned to pending: from a worker that is gone, and from another epoch."""

    rescued: int
    republished: int


@dataclass(frozen=True)
class Claimed:
    """An outbox row under this worker's lease. `payload` None: the event is the timeline's, in the last fields."""

    id: int
    event_id: str
    session_id: str
    payload: str | None
    attempts: int
    replay_token: str | None
    traceparent: str | None
    trace_id: str | None
    user_id: str | None
    provider_id: str | None
    run_id: str | None
    seq: int | None
    timestamp_ms: int | None
    kind: Kind | None
    extension_kind: str | None
    render_schema_ref: str | None
    event_payload: str | None


@dataclass(frozen=True)
class Failure:
    id: int
    error: str
    delay_ms: int


@dataclass(frozen=True)
class Lags:
    """How long events took from their commit to consumed: (bucket, events, seconds) for each bucket hit."""

    buckets: list[tuple[int, int, float]]

    @property
    def events(self) -> int:
        return sum(events for _, events, _ in self.buckets)


async def create_pool(url: str) -> asyncpg.Pool:
    """The worker's pool. Its commits needn't be durable: a completion that a crash undoes is made again.

    Updates by id go through the index, in rising order: no two writers deadlock over the same rows.
    """
    return await pools.create_pool(
        url,
        application_name="uniassist-worker",
        max_size=6,
        command_timeout_seconds=STATEMENT_SECONDS,
        settings={
            "synchronous_commit": "off",
            "enable_seqscan": "off",
            "enable_bitmapscan": "off",
            "jit": "off",
        },
    )


async def beat(
    pool: Pool, worker: str, *, lease_seconds: float, epoch: str | None, take: bool, per_second: float
) -> Beat:
    """Keep the lease of this worker's shards, take free ones up to its share; rescue before claiming from those."""
    lease = dt.timedelta(seconds=lease_seconds)
    row = await pool.fetchrow(load("delivery")["beat"], worker, lease, epoch, take, per_second, timeout=5)
    assert row is not None, "it always answers"
    return Beat(**{**row, "kept": dict(row["kept"]), "taken": dict(row["taken"])})


async def rescue(pool: Pool, worker: str, shards: Collection[int], *, epoch: str | None) -> Rescued:
    """Return to pending what nobody answers for in `shards`, which this worker holds."""
    row = await pool.fetchrow(load("delivery")["rescue"], worker, list(shards), epoch, timeout=60)
    assert row is not None, "an aggregate gives a row"
    return Rescued(**dict(row))


async def leave(pool: Pool, worker: str, shards: Sequence[int] | None = None) -> int:
    """Give back the shards (None: all, and sign off), so that others take them at once."""
    given: int = await pool.fetchval(load("delivery")["leave"], worker, shards, timeout=5)
    return given


async def claim(
    pool: Pool, worker: str, held: Mapping[int, int], *, epoch: str, limit: int, lease_seconds: float
) -> list[Claimed]:
    """At most `limit` events that are due, in id order, leased to this worker. `held`: shards and their tokens."""
    lease = dt.timedelta(seconds=lease_seconds)
    shards, tokens = list(held), list(held.values())
    rows = await pool.fetch(load("delivery")["claim"], worker, limit, lease, shards, tokens, epoch)
    return sorted((Claimed(*row.values()) for row in rows), key=lambda row: row.id)  # RETURNING has no order


async def release(pool: Pool, worker: str, ids: Sequence[int]) -> None:
    await pool.execute(load("delivery")["release"], worker, sorted(ids))


async def deliver(pool: Pool, worker: str, ids: Sequence[int], *, epoch: str) -> None:
    await pool.execute(load("delivery")["deliver"], worker, sorted(ids), epoch)


async def ids_of(pool: Pool, event_ids: Sequence[str]) -> list[int]:
    return [row["id"] for row in await pool.fetch(load("delivery")["ids_of"], event_ids)]


async def consume(pool: Pool, ids: Sequence[int], *, consumer: str, bounds: Sequence[float]) -> Lags:
    """Mark as consumed whatever of `ids` isn't yet. `bounds`: rising upper ends of the lag buckets, in seconds."""
    rows = await pool.fetch(load("delivery")["consume"], sorted(ids), consumer, bounds)
    return Lags([(row["bucket"], row["events"], row["seconds"]) for row in rows])


async def fail(pool: Pool, worker: str, failures: Sequence[Failure]) -> list[asyncpg.Record]:
    """One attempt spent on each: `event_id, status (failed or dead_letter), attempts`."""
    ordered = sorted(failures, key=lambda failure: failure.id)
    return list(
        await pool.fetch(
            load("delivery")["fail"],
            worker,
            [failure.id for failure in ordered],
            [failure.error for failure in ordered],
            [failure.delay_ms for failure in ordered],
        )
    )


async def fence(pool: Pool, worker: str) -> dict[int, int]:
    """From now on no claim with an older token commits. Returns the new tokens of this worker's shards."""
    rows = await pool.fetch(load("delivery")["fence"], worker, timeout=15)
    return {row["shard"]: row["token"] for row in rows}


async def settle(pool: Pool, worker: str, *, epoch: str) -> int:
    """Everything of this worker that isn't known to be on the streams of `epoch` is pending again."""
    return _count(await pool.execute(load("delivery")["settle"], worker, epoch, timeout=60))


async def overdue(pool: Pool, worker: str, *, older_than_seconds: float) -> int:
    older = dt.timedelta(seconds=older_than_seconds)
    return _count(await pool.execute(load("delivery")["overdue"], worker, older))


async def backlog(connection: Pool | pools.Connection) -> asyncpg.Record:
    """`pending, processing, failed, delivered, dead_letter, oldest_seconds`, each count bounded."""
    row = await connection.fetchrow(load("delivery")["backlog"], COUNTED_UP_TO, timeout=5)
    assert row is not None, "an aggregate gives a row"
    return row


async def prune(pool: Pool, *, after_id: int, older_than: dt.timedelta, limit: int) -> tuple[int, int | None]:
    """Rows deleted, and the id to go on after (None: from the start, later)."""
    row = await pool.fetchrow(load("delivery")["prune"], after_id, older_than, limit)
    assert row is not None, "an aggregate gives a row"
    return row["deleted"], row["next"]


async def pause(connection: pools.Connection, *, who: str, reason: str | None) -> None:
    await connection.execute(load("delivery")["pause"], who, reason)


async def resume(connection: pools.Connection) -> None:
    await connection.execute(load("delivery")["resume"])


async def control(connection: pools.Connection) -> dict[str, Any]:
    """`paused_at, paused_by, reason`, all None while delivery runs."""
    row = await connection.fetchrow(load("delivery")["control"])
    assert row is not None, "the migration wrote it"
    return dict(row)


def _count(answer: str) -> int:
    return int(answer.rsplit(" ", 1)[1])
