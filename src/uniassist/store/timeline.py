"""Reading a session's timeline."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg
import msgspec

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import TimelineEvent
from uniassist.store.pool import Pool
from uniassist.store.queries import load

MAX_PAGE = 1000
# An input may have a megabyte: a page is bounded in bytes as well, and what is fetched at once in rows.
MAX_PAGE_BYTES = 512 * 1024
_STEP = 100


@dataclass(frozen=True)
class Page:
    """`more`: the page ended for its size; there may be events behind it."""

    events: list[TimelineEvent]
    more: bool


async def read(
    pool: Pool, session_id: str, cursor: int, limit: int = MAX_PAGE, *, subject: str | None = None
) -> Page:
    """Events with seq > cursor in seq order, at most `limit` and, beyond the first, MAX_PAGE_BYTES of payload.

    The payload stays JSON text. Empty for an unknown session, and for one that isn't `subject`'s (None: any).
    """
    events: list[TimelineEvent] = []
    size = 0
    while len(events) < min(limit, MAX_PAGE):  # ends: each step adds events or is the last
        step = min(_STEP, limit - len(events))
        rows = await pool.fetch(load("gateway")["timeline"], session_id, cursor, step, subject, timeout=10)
        for row in rows:
            event = _event(row)
            size += len(event.payload)
            if events and size > MAX_PAGE_BYTES:
                return Page(events, more=True)
            events.append(event)
            cursor = event.seq
        if len(rows) < step:
            return Page(events, more=False)
    return Page(events, more=True)


def _event(row: asyncpg.Record) -> TimelineEvent:
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


async def latest_session(pool: Pool, user_id: str) -> str | None:
    """The session that the user opened last."""
    found: str | None = await pool.fetchval(load("gateway")["latest_session"], user_id, timeout=10)
    return found
