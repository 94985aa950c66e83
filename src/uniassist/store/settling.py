"""Rows that are nobody's any more, or of an epoch that ended: back to pending, slice by slice.

`why` says who gives a row back, and with it what may be moved (see `queries/settling.sql`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from uniassist.store.delivery import ROW_LEASE
from uniassist.store.queries import Statement, statements
from uniassist.store.server.pool import Pool, Record

Why = Literal["settle", "rescue", "overdue", "claim"]
Stage = Literal["processing", "delivered"]

OVERDUE_AT_ONCE = 5000
_LOWEST = -(2**63)


@dataclass(frozen=True)
class Place:
    """Where a slice begins: after this row of its stage."""

    stage: Stage
    epoch: str | None = ""
    row_id: int = _LOWEST


@dataclass(frozen=True)
class Shards:
    """Whose rows: those of `shards`, as far as `worker` has them; `epoch` of Redis, None while it isn't known."""

    worker: str
    shards: Collection[int]
    epoch: str | None


async def slice_back(
    pool: Pool, of: Shards, why: Why, place: Place, *, limit: int, aside: Collection[int]
) -> tuple[int, Place | None]:
    """Rows given back of at most `limit` that are looked at, and where the next slice begins; None: at the end.

    Durable with all that it saw.
    """
    row = await _give_back(pool, of, why, stage=place.stage, place=place, limit=limit, aside=list(aside))
    following = Place(place.stage, row["last_epoch"], row["last_id"]) if row["is_full"] else None
    return row["moved"], following


async def slice_ids(pool: Pool, of: Shards, why: Why, place: Place, *, limit: int) -> list[int]:
    """The rows that the slice looks at. Nothing is moved."""
    row = await _give_back(pool, of, why, stage=place.stage, place=place, limit=limit, look=True)
    ids: list[int] = row["ids"]
    return ids


async def give_back(pool: Pool, of: Shards, why: Why, ids: Sequence[int]) -> int:
    """How many of `ids` went back to pending."""
    moved: int = (await _give_back(pool, of, why, stage="given", ids=ids, limit=len(ids)))["moved"]
    return moved


async def give_up(
    pool: Pool, of: Shards, why: Why, row_id: int, *, reason: str, delay_ms: int, for_good: bool
) -> Record | None:
    """`event_id, status (failed or dead_letter), attempts` of a row that can't go back; None: it has moved on.

    It spends an attempt; `for_good`: it is a dead letter whatever attempts it has left.
    """
    row = await _give_back(
        pool, of, why, stage="given", limit=1, ids=[row_id], reason=reason, delay_ms=delay_ms, for_good=for_good
    )
    return row if row["moved"] else None


async def mark(pool: Pool, of: Shards) -> None:
    """The shards are settled in the epoch: only now their rows may be claimed for it."""
    await pool.execute(*_query("settled")(worker=of.worker, shards=sorted(of.shards), epoch=of.epoch))


async def overdue(pool: Pool, worker: str, *, older_than_seconds: float) -> list[int]:
    """Rows that were delivered so long ago that they wait for nothing any more, the oldest first."""
    older = dt.timedelta(seconds=older_than_seconds)
    rows = await pool.fetch(*_query("overdue")(worker=worker, older_than=older, limit=OVERDUE_AT_ONCE))
    return [row["id"] for row in rows]


async def _give_back(
    pool: Pool, of: Shards, why: Why, *, stage: str, limit: int, place: Place | None = None, **asked: Any
) -> Record:
    after = place or Place("processing")
    values = {"ids": [], "look": False, "aside": [], "reason": None, "delay_ms": 0, "for_good": False, **asked}
    row = await pool.fetchrow(
        *_query("give_back")(
            worker=of.worker,
            shards=sorted(of.shards),
            epoch=of.epoch,
            why=why,
            stage=stage,
            limit=limit,
            after_epoch=after.epoch,
            after=after.row_id,
            row_lease=ROW_LEASE,
            **values,
        )
    )
    assert row is not None, "an aggregate gives a row"
    return row


def _query(name: str) -> Statement:
    return statements("settling")[name]
