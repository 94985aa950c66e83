"""What the delivery engine reads and writes; every write names the state, and the owner, that it expects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from uniassist.contracts.timeline import Kind
from uniassist.store.queries import Statement, statements
from uniassist.store.server import pool as pools
from uniassist.store.server.pool import Pool, Record

STATEMENT_SECONDS = 15.0
COUNTED_UP_TO = 1_000_000
# Of the sessions' hash space: each has one, hashtext(session_id) & 31.
SHARDS = 32
ALL_SHARDS: Collection[int] = range(SHARDS)
# A claim brings this much text and one body more; while one is published, the next is held.
CLAIM_BYTES = 8 * 1024 * 1024
# Who was not heard of for longer, and whose session is gone, is dead. Above the time between two beats: a worker
# that lost its connection beats on another one.
SILENCE = dt.timedelta(seconds=1.25)
# Of a row that is claimed: longer than any call of ours may take. One that ends later is from before the clock was
# set back.
ROW_LEASE = dt.timedelta(seconds=10)
# Nothing longer goes on a stream, so nothing longer is fetched.
LONGEST_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Heartbeat:
    """Shards kept and taken, with their tokens; `others`: live workers besides this one; `strays`: rescue them.

    `unsettled`: another worker settled some of them in an epoch that this one doesn't know. `unheld`: shards that
    nobody has the lease of, though events wait in them. `dead`: workers whose leases nobody waits for the end of.
    `set_back`: events failed at a time that is still to come, by a clock that was set back since.
    """

    dead: list[str]
    kept: dict[int, int]
    taken: dict[int, int]
    others: int
    unheld: list[int]
    paused: bool
    unsettled: bool
    pending: bool
    due: bool
    set_back: bool
    strays: bool


class Claimed(NamedTuple):
    """An outbox row under this worker's lease.

    `body`: the row's payload where it is `bare`, else that of the timeline's event, which the last fields are of.
    None: there is none, or it is too long (`body_bytes` says how long), or it wasn't asked for.

    As the other values that each event makes, a tuple: it costs a fifth of a frozen dataclass.
    """

    id: int
    event_id: str
    session_id: str
    body: str | None
    body_bytes: int | None
    bare: bool
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


@dataclass(frozen=True)
class Failure:
    """Of a row that this worker has claimed; with `epoch`: of one published in it, that can't be written on."""

    id: int
    error: str
    delay_ms: int
    epoch: str | None = None


@dataclass(frozen=True)
class Lags:
    """How long events took from their commit to consumed: (bucket, events, seconds) for each bucket hit."""

    buckets: list[tuple[int, int, float]]

    @property
    def events(self) -> int:
        return sum(events for _, events, _ in self.buckets)


async def create_pool(url: str, *, lanes: int = 1) -> Pool:
    """The worker's pool. Its commits needn't be durable: a completion that a crash undoes is made again.

    Updates by id go through the index, in rising order: no two writers deadlock over the same rows.
    """
    return await pools.create_pool(
        url,
        application_name="uniassist-worker",
        max_size=min(6 + 2 * (lanes - 1), 20),
        command_timeout_seconds=STATEMENT_SECONDS,
        settings={
            "synchronous_commit": "off",
            "enable_seqscan": "off",
            "enable_bitmapscan": "off",
            "jit": "off",
        },
    )


async def heartbeat(
    pool: Pool,
    worker: str,
    *,
    lease_seconds: float,
    epoch: str | None,
    take: bool,
    per_second: float,
    among: Collection[int] = ALL_SHARDS,
    mark: str = "",
) -> Heartbeat:
    """Keep the lease of this worker's shards, take free ones up to its share; rescue before claiming from those.

    `among`: the shards of its lane. `mark`: what names of workers of that lane end with.
    """
    async with pool.acquire() as connection:
        asked = _query("heartbeat")(
            worker=worker,
            lease=dt.timedelta(seconds=lease_seconds),
            epoch=epoch,
            take=take,
            per_second=per_second,
            among=list(among),
            mark=mark,
            silence=SILENCE,
            direct=not connection.is_behind_pooler,
            row_lease=ROW_LEASE,
        )
        row = await connection.fetchrow(*asked, timeout=5)
    assert row is not None, "it always answers"
    return Heartbeat(**{**row, "kept": dict(row["kept"]), "taken": dict(row["taken"])})


async def leave(pool: Pool, worker: str, shards: Sequence[int] | None = None) -> int:
    """Give back the shards (None: all, and sign off), so that others take them at once."""
    given: int = await pool.fetchval(*_query("leave")(worker=worker, shards=shards), timeout=5)
    return given


async def claim(
    pool: Pool,
    worker: str,
    held: Mapping[int, int],
    *,
    epoch: str,
    limit: int,
    room_bytes: int | None = CLAIM_BYTES,
    aside: Collection[int] = (),
    set_back: bool = False,
) -> list[Claimed]:
    """At most `limit` events that are due, in id order, leased to this worker. `held`: shards and their tokens.

    Their bodies fit into `room_bytes`, but for the last one; None: without bodies. `aside`: rows passed over.
    `set_back`: as a heartbeat said.
    """
    return await _claim(
        pool,
        worker=worker,
        held=held,
        epoch=epoch,
        limit=limit,
        room_bytes=room_bytes,
        aside=aside,
        set_back=set_back,
    )


async def claimable(
    pool: Pool,
    worker: str,
    held: Mapping[int, int],
    *,
    epoch: str,
    limit: int,
    aside: Collection[int] = (),
    set_back: bool = False,
) -> list[tuple[int, str]]:
    """What `claim` would take, as (row id, session id); nothing is written."""
    rows = await _claim(
        pool,
        worker=worker,
        held=held,
        epoch=epoch,
        limit=limit,
        room_bytes=None,
        aside=aside,
        set_back=set_back,
        look=True,
    )
    return [(row.id, row.session_id) for row in rows]


async def claim_these(
    pool: Pool, worker: str, held: Mapping[int, int], ids: Sequence[int], *, epoch: str
) -> list[Claimed]:
    """Those of `ids` that wait still, without their bodies."""
    return await _claim(
        pool,
        worker=worker,
        held=held,
        epoch=epoch,
        limit=0,
        room_bytes=None,
        only=ids,
    )


async def _claim(
    pool: Pool,
    *,
    worker: str,
    held: Mapping[int, int],
    epoch: str,
    limit: int,
    room_bytes: int | None,
    aside: Collection[int] = (),
    only: Collection[int] = (),
    set_back: bool = False,
    look: bool = False,
) -> list[Claimed]:
    asked = _query("claim")(
        worker=worker,
        limit=limit,
        lease=ROW_LEASE,
        shards=list(held),
        tokens=list(held.values()),
        epoch=epoch,
        room=room_bytes,
        longest=LONGEST_BODY_BYTES,
        aside=list(aside),
        only=list(only),
        set_back=set_back,
        look=look,
    )
    rows = await pool.fetch(*asked)
    return sorted((Claimed._make(row.values()) for row in rows), key=lambda row: row.id)  # RETURNING has no order


async def with_bodies(pool: Pool, claimed: Sequence[Claimed]) -> list[Claimed]:
    """Those that were claimed without."""
    asked = _query("bodies")(ids=[row.id for row in claimed], longest=LONGEST_BODY_BYTES)
    bodies = {row["id"]: row for row in await pool.fetch(*asked)}
    return [
        row._replace(body=bodies[row.id]["body"], body_bytes=bodies[row.id]["bytes"]) if row.id in bodies else row
        for row in claimed
    ]


async def release(pool: Pool, worker: str, ids: Sequence[int]) -> None:
    await pool.execute(*_query("release")(worker=worker, ids=sorted(ids)))


async def deliver(pool: Pool, worker: str, ids: Sequence[int], *, epoch: str) -> None:
    await pool.execute(*_query("deliver")(worker=worker, ids=sorted(ids), epoch=epoch))


async def ids_of(pool: Pool, event_ids: Sequence[str]) -> dict[str, int]:
    """Event id → row id, of those that have a row."""
    rows = await pool.fetch(*_query("ids_of")(event_ids=event_ids))
    return {row["event_id"]: row["id"] for row in rows}


async def consume(pool: Pool, ids: Collection[int], *, epoch: str, consumer: str, bounds: Sequence[float]) -> Lags:
    """Mark as consumed what of `ids` is on its way in `epoch`, the one that the entries were published in.

    `bounds`: rising upper ends of the lag buckets, in seconds.
    """
    asked = _query("consume")(ids=sorted(ids), epoch=epoch, consumer=consumer, bounds=bounds)
    rows = await pool.fetch(*asked)
    return Lags([(row["bucket"], row["events"], row["seconds"]) for row in rows])


async def fail(pool: Pool, worker: str, failures: Sequence[Failure]) -> list[Record]:
    """One attempt spent on each: `event_id, status (failed or dead_letter), attempts`."""
    ordered = sorted(failures, key=lambda failure: failure.id)
    asked = _query("fail")(
        worker=worker,
        ids=[failure.id for failure in ordered],
        errors=[failure.error for failure in ordered],
        delays_ms=[failure.delay_ms for failure in ordered],
        epochs=[failure.epoch for failure in ordered],
    )
    return list(await pool.fetch(*asked))


async def bury(pool: Pool, worker: str, failure: Failure, *, reason: str) -> str | None:
    """Make it a dead letter whatever attempts it has left; its event id, None when it has moved on."""
    asked = _query("bury")(worker=worker, id=failure.id, epoch=failure.epoch, reason=reason)
    event_id: str | None = await pool.fetchval(*asked)
    return event_id


async def fence(pool: Pool, worker: str) -> dict[int, int]:
    """From now on no claim with an older token commits. Returns the new tokens of this worker's shards."""
    rows = await pool.fetch(*_query("fence")(worker=worker), timeout=15)
    return {row["shard"]: row["token"] for row in rows}


async def last_epoch(pool: Pool, among: Collection[int] = ALL_SHARDS) -> str | None:
    """The newest one that any worker settled these shards in; None on a database that is new."""
    found: str | None = await pool.fetchval(*_query("last_epoch")(among=list(among)), timeout=15)
    return found


async def backlog(connection: Pool | pools.Connection) -> Record:
    """`pending, processing, failed, delivered, dead_letter, oldest_seconds`, each count bounded."""
    row = await connection.fetchrow(*_query("backlog")(up_to=COUNTED_UP_TO), timeout=5)
    assert row is not None, "an aggregate gives a row"
    return row


async def prune(pool: Pool, *, after_id: int, older_than: dt.timedelta, limit: int) -> tuple[int, int | None]:
    """Rows deleted, and the id to go on after (None: from the start, later)."""
    row = await pool.fetchrow(*_query("prune")(after_id=after_id, older_than=older_than, limit=limit))
    assert row is not None, "an aggregate gives a row"
    return row["deleted"], row["next"]


async def pause(connection: pools.Connection, *, who: str, reason: str | None) -> None:
    await connection.execute(*_query("pause")(who=who, reason=reason))


async def resume(connection: pools.Connection) -> None:
    await connection.execute(*_query("resume")())


async def control(connection: pools.Connection) -> dict[str, Any]:
    """`paused_at, paused_by, reason`, all None while delivery runs."""
    row = await connection.fetchrow(*_query("control")())
    assert row is not None, "the migration wrote it"
    return dict(row)


def _query(name: str) -> Statement:
    return statements("delivery")[name]
