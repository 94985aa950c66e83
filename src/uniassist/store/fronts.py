"""What fronts read beside a timeline's pages: what was shown last, and what became of a request."""

from __future__ import annotations

from typing import NamedTuple

from uniassist.contracts.timeline import TimelineEvent
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool
from uniassist.store.timeline import event_of

MAX_EVENTS = 2000  # of one request
_SHOWN = 40  # events behind a person's last word; a question is among the newest


class Shown(NamedTuple):
    """An event of a session, newest first. `floor`: the provider that waits for a reply, until `floor_until_ms`."""

    session_id: str
    event_id: str
    trace_id: str
    seq: int
    kind: str
    provider_id: str | None
    run_id: str | None
    payload: str
    floor: str | None
    floor_until_ms: int | None


class Written(NamedTuple):
    """Where a request was written: `kind` inbound or user_interaction, `run_id` of the second."""

    session_id: str
    seq: int
    kind: str
    run_id: str | None
    timestamp_ms: int


async def last_shown(pool: Pool, session_id: str, user_id: str, *, subject: str | None) -> list[Shown]:
    """The newest events of the session's line, newest first; empty for one that isn't theirs."""
    rows = await pool.fetch(
        *statements("gateway")["last_shown"](session_id=session_id, user_id=user_id, subject=subject, limit=_SHOWN),
        timeout=10,
    )
    return [Shown(*row) for row in rows]


async def traced(
    pool: Pool, session_id: str, user_id: str, trace_id: str, *, subject: str | None
) -> Written | None:
    """None: no such request was written."""
    row = await pool.fetchrow(
        *statements("gateway")["traced"](
            session_id=session_id, user_id=user_id, trace_id=trace_id, subject=subject
        ),
        timeout=10,
    )
    return None if row is None else Written(*row)


async def owes_calls(pool: Pool, run_id: str) -> bool:
    """Whether a call of the run is still to be answered."""
    return bool(await pool.fetchval(*statements("gateway")["owes_calls"](run_id=run_id), timeout=5))


class Request(NamedTuple):
    """A request by its first run: all that came of it has its `trace_id`."""

    run_id: str
    session_id: str
    trace_id: str


async def request_of(pool: Pool, run_id: str, user_id: str, *, subject: str | None) -> Request | None:
    """None: there is no such run, or it isn't theirs."""
    row = await pool.fetchrow(
        *statements("gateway")["traced_run"](run_id=run_id, user_id=user_id, subject=subject), timeout=5
    )
    return None if row is None else Request(run_id, row["session_id"], row["trace_id"])


async def requests(
    pool: Pool, user_id: str, *, subject: str | None, session_id: str | None, before: str | None, limit: int
) -> list[Request]:
    """Of a user, newest first, from before the run `before`. `session_id` None: of all their sessions."""
    rows = await pool.fetch(
        *statements("gateway")["requests_of_user"](
            user_id=user_id, subject=subject, session_id=session_id, before=before, limit=limit
        ),
        timeout=10,
    )
    return [Request(row["run_id"], row["session_id"], row["trace_id"]) for row in rows]


async def traced_events(pool: Pool, session_id: str, trace_id: str) -> list[TimelineEvent]:
    """What a request led to, in seq order; the first MAX_EVENTS."""
    rows = await pool.fetch(
        *statements("gateway")["traced_events"](session_id=session_id, trace_id=trace_id, limit=MAX_EVENTS),
        timeout=10,
    )
    return [event_of(row) for row in rows]
