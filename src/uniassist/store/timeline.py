"""Reading a session's timeline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import TimelineEvent
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool, Record

MAX_PAGE = 1000
MAX_PAGE_BYTES = 512 * 1024  # an input may have a megabyte, so a thousand events are no bound


@dataclass(frozen=True)
class Page:
    """`more`: the page ended for its size; there may be events behind it."""

    events: list[TimelineEvent]
    more: bool


class Moved(NamedTuple):
    """A session that has events behind its followers' cursor, with its newest seq."""

    session_id: str
    seq: int
    subject: str | None


async def read(
    pool: Pool,
    session_id: str,
    cursor: int,
    limit: int = MAX_PAGE,
    *,
    max_bytes: int = MAX_PAGE_BYTES,
    subject: str | None = None,
) -> Page:
    """Events with seq > cursor in seq order: at most `limit`, and none after `max_bytes` of payload are reached.

    So a page has less than `max_bytes` and one event. The payload stays JSON text. Empty for an unknown session,
    and for one that isn't `subject`'s (None: any).
    """
    limit = min(limit, MAX_PAGE)
    statement = statements("gateway")["timeline"]
    rows = await pool.fetch(
        *statement(session_id=session_id, cursor=cursor, limit=limit, subject=subject, max_bytes=max_bytes),
        timeout=10,
    )
    more = bool(rows) and (len(rows) == limit or rows[-1]["bytes"] >= max_bytes)
    return Page([event_of(row) for row in rows], more)


async def known(pool: Pool, session_ids: Collection[str], *, subject: str | None) -> set[str]:
    """Those that exist, and are `subject`'s (None: anybody's)."""
    statement = statements("gateway")["known_sessions"]
    rows = await pool.fetch(*statement(session_ids=list(session_ids), subject=subject), timeout=5)
    return {row["session_id"] for row in rows}


async def said(
    pool: Pool, session_id: str, until: int, *, limit: int, longest: int
) -> list[tuple[str, str | None, str]]:
    """What people and providers said up to the seq `until`: kind, provider and text, oldest first.

    At most the `limit` newest, each cut to `longest` characters.
    """
    statement = statements("gateway")["said"]
    rows = await pool.fetch(
        *statement(session_id=session_id, until=until, limit=limit, longest=longest), timeout=10
    )
    return [(row["kind"], row["provider_id"], row["text"]) for row in rows]


async def moved(pool: Pool, cursors: Mapping[str, int]) -> list[Moved]:
    """Those of the sessions that have events behind the cursor given for each."""
    statement = statements("gateway")["moved_sessions"]
    rows = await pool.fetch(*statement(session_ids=list(cursors), cursors=list(cursors.values())), timeout=10)
    return [Moved(*row) for row in rows]


def event_of(row: Record) -> TimelineEvent:
    """A row of timeline_events, its payload as text; that stays JSON text."""
    return TimelineEvent(
        schema_version=SCHEMA_VERSION,
        event_id=row["event_id"],
        trace_id=row["trace_id"],
        session_id=row["session_id"],
        user_id=row["user_id"],
        provider_id=row["provider_id"],
        run_id=row["run_id"],
        seq=row["seq"],
        timestamp_ms=row["timestamp_ms"],
        kind=row["kind"],
        extension_kind=row["extension_kind"],
        render_schema_ref=row["render_schema_ref"],
        payload=msgspec.Raw(row["payload"].encode()),
    )


async def latest_session(pool: Pool, user_id: str, provider_id: str, *, proven: bool) -> str | None:
    """Of the sessions that the provider served, the one that whoever used this userId first opened last.

    `proven`: one that was opened without a token or a signature doesn't count.
    """
    statement = statements("gateway")["latest_session"]
    found: str | None = await pool.fetchval(
        *statement(user_id=user_id, provider_id=provider_id, proven=proven), timeout=10
    )
    return found


async def is_served(pool: Pool, session_id: str, provider_id: str) -> bool:
    """Whether the session ever had a run of the provider's."""
    statement = statements("gateway")["served_session"]
    return bool(await pool.fetchval(*statement(session_id=session_id, provider_id=provider_id), timeout=10))
