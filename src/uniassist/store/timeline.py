"""Reading a session's timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg
import msgspec

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import TimelineEvent
from uniassist.store.pool import Pool
from uniassist.store.queries import load

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
    rows = await pool.fetch(load("gateway")["timeline"], session_id, cursor, limit, subject, max_bytes, timeout=10)
    more = bool(rows) and (len(rows) == limit or rows[-1]["bytes"] >= max_bytes)
    return Page([_event(row) for row in rows], more)


async def moved(pool: Pool, cursors: Mapping[str, int]) -> list[Moved]:
    """Those of the sessions that have events behind the cursor given for each."""
    rows = await pool.fetch(load("gateway")["moved_sessions"], list(cursors), list(cursors.values()), timeout=10)
    return [Moved(*row) for row in rows]


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
    """The session that whoever used this userId first opened last."""
    found: str | None = await pool.fetchval(load("gateway")["latest_session"], user_id, timeout=10)
    return found
