"""Sessions that nobody has used for long are deleted by a running worker; what is still to be done keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool, create_pool

_SESSION = (
    "INSERT INTO sessions (session_id, user_id, seq, last_activity_at, created_at)"
    " VALUES (%(id)s, %(user)s, 2, now() - %(idle)s::interval, now() - interval '900 days')"
)
_EVENTS = (
    "INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload,"
    " created_at)"
    " SELECT %(id)s || '-' || n, 't', %(id)s, %(user)s, n, 1, 'inbound', '{}', now() - interval '900 days'"
    " FROM generate_series(1, 2) AS n"
)
_OUTBOX = (
    "INSERT INTO outbox_events (event_id, session_id, status, attempts, next_retry_at, consumed_at)"
    " SELECT event_id, session_id, CASE seq WHEN 1 THEN 'consumed' ELSE %(status)s END, 1,"
    " now() + interval '1 day', now() FROM timeline_events WHERE session_id = %(id)s"
)
_RUN = (
    "INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,"
    " idempotency_key, status, created_at, updated_at) VALUES (%(id)s, 't', %(id)s, %(user)s, 'plan', 'async',"
    " 'normal', 'k', %(run)s, now() - interval '900 days', now() - interval '900 days')"
)


def add(
    connection: psycopg.Connection,
    session_id: str,
    *,
    idle: str = "800 days",
    status: str = "consumed",
    run: str = "completed",
    user: str = "someone",
) -> None:
    values = {"id": session_id, "user": user, "idle": idle, "status": status, "run": run}
    for statement in (_SESSION, _EVENTS, _OUTBOX, _RUN):
        connection.execute(statement, values)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with await create_pool(database_url, application_name="test", max_size=1) as pool:
        yield pool


async def test_old_sessions_go_with_all_that_hangs_on_them_and_what_is_open_keeps_its_own(
    database_url: str, redis_url: str, service: Callable[..., ServiceProcess]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        add(connection, "gone")
        add(connection, "wx-gone", user="wx:o")
        add(connection, "young", idle="700 days")
        for status in ("failed", "dead_letter"):
            add(connection, f"kept-{status}", status=status)
        for run in ("pending", "running"):
            add(connection, f"kept-{run}", run=run)
        add(connection, "kept-goes-on", idle="700 days")
        add(connection, "kept-next")
        connection.execute("UPDATE sessions SET successor_id = 'kept-next' WHERE session_id = 'kept-goes-on'")
        add(connection, "kept-reply", user="wx:p")
        connection.execute("INSERT INTO wechat_people (openid) VALUES ('p')")
        connection.execute(
            "INSERT INTO wechat_replies (event_id, openid, position, session_id, trace_id, text, state)"
            " VALUES ('e', 'p', 1, 'kept-reply', 't', 'x', 'parked')"
        )
        connection.execute("INSERT INTO wechat_cursors (session_id, seq) VALUES ('wx-gone', 2), ('kept-reply', 2)")
        connection.execute(
            "INSERT INTO user_context_cache (profile_ref, user_id, snapshot, ttl_expires_at)"
            " VALUES ('old', 'u', '{}', now() - interval '2 days'), ('new', 'u', '{}', now() + interval '1 minute')"
        )
        before = {row[0] for row in connection.execute("SELECT session_id FROM sessions")}
        service(
            "worker",
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            UNIASSIST_STREAM_PREFIX="kept:",
            OUTBOX_RETENTION_HOURS="0",
            RETENTION_TIMELINE_DAYS="0",
        )

        def left() -> set[str]:
            return {row[0] for row in connection.execute("SELECT session_id FROM sessions")}

        await eventually(lambda: before - left(), "old sessions are deleted")
        assert before - left() == {"gone", "wx-gone"}
        for table in ("timeline_events", "provider_runs", "outbox_events", "wechat_cursors"):
            of = {row[0] for row in connection.execute(f"SELECT session_id FROM {table}")}
            assert of & {"gone", "wx-gone"} == set(), table
        assert connection.execute("SELECT count(*) FROM timeline_events").fetchone() == ((len(before) - 2) * 2,)
        assert connection.execute("SELECT profile_ref FROM user_context_cache").fetchall() == [("new",)]


async def test_a_session_that_is_written_to_while_retention_looks_stays(database_url: str, pool: Pool) -> None:
    """By a device whose clock is years behind: the session is as unused as before."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        add(connection, "written")
        add(connection, "gone")
        sql, *arguments = statements("retention")["forget_sessions"](page=0, days=730, pages=100, most=10)
        held = sql.replace("last_activity_at FROM sessions", "last_activity_at FROM pg_sleep(3), sessions", 1)
        assert held != sql
        looking = asyncio.create_task(pool.fetchrow(held, *arguments))
        sleeps = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        await eventually(lambda: connection.execute(sleeps).fetchall(), "it looks")
        with connection.transaction():
            connection.execute("UPDATE sessions SET seq = 3 WHERE session_id = 'written'")
            connection.execute(
                "INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind,"
                " payload) VALUES ('new', 't', 'written', 'someone', 3, 1, 'inbound', '{}')"
            )
        found = await looking
        assert found is not None
        assert found["deleted"] == 1
        assert connection.execute("SELECT session_id FROM sessions").fetchall() == [("written",)]
        left = connection.execute("SELECT count(*) FROM timeline_events WHERE session_id = 'written'")
        assert left.fetchone() == (3,)


async def test_zero_keeps_all(database_url: str, redis_url: str, service: Callable[..., ServiceProcess]) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        add(connection, "old")
        connection.execute(
            "INSERT INTO user_context_cache (profile_ref, user_id, snapshot, ttl_expires_at)"
            " VALUES ('old', 'u', '{}', now() - interval '2 days')"
        )
        service(
            "worker",
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            UNIASSIST_STREAM_PREFIX="zero:",
            RETENTION_SESSION_DAYS="0",
        )
        await eventually(
            lambda: not connection.execute("SELECT FROM user_context_cache").fetchall(), "a round is over"
        )
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
