"""Reading a session's timeline."""

from __future__ import annotations

import msgspec

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import TimelineEvent
from uniassist.store.pool import Pool
from uniassist.store.queries import load

MAX_PAGE = 1000


async def read(pool: Pool, session_id: str, cursor: int, limit: int = MAX_PAGE) -> list[TimelineEvent]:
    """Events with seq > cursor in seq order; the payload stays JSON text. Empty for an unknown session."""
    rows = await pool.fetch(load("gateway")["timeline"], session_id, cursor, min(limit, MAX_PAGE), timeout=10)
    return [
        TimelineEvent(
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
        for row in rows
    ]


async def latest_session(pool: Pool, user_id: str) -> str | None:
    """The session that the user opened last."""
    found: str | None = await pool.fetchval(load("gateway")["latest_session"], user_id, timeout=10)
    return found
