"""What goes for its age: whole sessions with all that hangs on them, the beginnings of others, expired contexts."""

from __future__ import annotations

from dataclasses import dataclass

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool

SLICE = 500
MOST_AT_ONCE = 20
MOST_EVENTS = 500  # of one session at a time


@dataclass(frozen=True)
class Forgotten:
    """deleted: sessions. after: where the next slice begins; None: this was the last one."""

    deleted: int
    after: str | None


@dataclass(frozen=True)
class Trimmed:
    """How much went. more: the same slice has more of it."""

    events: int
    runs: int
    more: bool


async def forget_sessions(pool: Pool, *, after: str, days: int) -> Forgotten:
    """Those of the SLICE sessions after the id `after` that were idle for `days`, at most MOST_AT_ONCE.

    A session stays while anything of it is undelivered, owed or open.
    """
    asked = statements("retention")["forget_sessions"](after=after, days=days, limit=SLICE, most=MOST_AT_ONCE)
    row = await pool.fetchrow(*asked, timeout=60)
    assert row is not None
    return Forgotten(row["deleted"], row["next"])


async def trim_timelines(pool: Pool, *, after: str, days: int) -> Trimmed:
    """In the SLICE sessions after the id `after`: events and runs older than `days` that nobody waits for."""
    events = statements("retention")["trim_timelines"](
        after=after, days=days, limit=SLICE, most=MOST_AT_ONCE, events=MOST_EVENTS
    )
    row = await pool.fetchrow(*events, timeout=60)
    assert row is not None
    runs = statements("retention")["trim_runs"](after=after, days=days, limit=SLICE, most=MOST_EVENTS)
    gone: int = await pool.fetchval(*runs, timeout=60)
    return Trimmed(row["deleted"], gone, row["more"] or gone == MOST_EVENTS)


async def forget_contexts(pool: Pool) -> int:
    """Expired user contexts, at most SLICE of them; how many."""
    found: int = await pool.fetchval(*statements("retention")["forget_contexts"](limit=SLICE), timeout=10)
    return found
