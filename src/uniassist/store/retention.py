"""What goes for its age: whole sessions with all that hangs on them, the beginnings of others, expired contexts."""

from __future__ import annotations

from dataclasses import dataclass

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool

SLICE = 500  # contexts
# Of the sessions' table, walked as it lies on the disk: about as it was written. So neighbours are as old as each
# other, and their events are neighbours too; in the order of ids each session would be a page of its own.
SLICE_PAGES = 64
MOST_AT_ONCE = 20
MOST_EVENTS = 500  # of one session at a time


@dataclass(frozen=True)
class Forgotten:
    """deleted: sessions. next_page: where the next slice begins; None: this was the last one."""

    deleted: int
    next_page: int | None


@dataclass(frozen=True)
class Trimmed:
    """How much went. more: the same slice has more of it."""

    events: int
    runs: int
    more: bool


async def forget_sessions(pool: Pool, *, page: int, days: int) -> Forgotten:
    """Those in the SLICE_PAGES pages from `page` on that were idle for `days`, at most MOST_AT_ONCE.

    A session stays while anything of it is undelivered, owed or open.
    """
    asked = statements("retention")["forget_sessions"](page=page, days=days, pages=SLICE_PAGES, most=MOST_AT_ONCE)
    row = await pool.fetchrow(*asked, timeout=60)
    assert row is not None
    return Forgotten(row["deleted"], row["next"])


async def trim_timelines(pool: Pool, *, page: int, days: int) -> Trimmed:
    """In the SLICE_PAGES pages of sessions from `page` on: what is older than `days` and nobody waits for."""
    events = statements("retention")["trim_timelines"](
        page=page, days=days, pages=SLICE_PAGES, most=MOST_AT_ONCE, events=MOST_EVENTS
    )
    row = await pool.fetchrow(*events, timeout=60)
    assert row is not None
    runs = statements("retention")["trim_runs"](page=page, days=days, pages=SLICE_PAGES, most=MOST_EVENTS)
    gone: int = await pool.fetchval(*runs, timeout=60)
    return Trimmed(row["deleted"], gone, row["more"] or gone == MOST_EVENTS)


async def forget_contexts(pool: Pool) -> int:
    """Expired user contexts, at most SLICE of them; how many."""
    found: int = await pool.fetchval(*statements("retention")["forget_contexts"](limit=SLICE), timeout=10)
    return found
