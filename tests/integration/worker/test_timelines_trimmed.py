"""In a session that is in use, a timeline's old beginning goes; what is undelivered stops it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.store import retention

DAYS = 30
_SESSION = (
    "INSERT INTO sessions (session_id, user_id, seq, created_at)"
    " VALUES (%(id)s, %(user)s, %(count)s, now() - interval '60 days')"
)
_EVENTS = (
    "INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload,"
    " created_at) SELECT %(id)s || '-' || n, 't', %(id)s, %(user)s, n, 1, 'inbound', '{}',"
    " now() - CASE WHEN n <= %(old)s THEN interval '40 days' ELSE interval '1 day' END"
    " FROM generate_series(1, %(count)s) AS n"
)
_OUTBOX = (
    "INSERT INTO outbox_events (event_id, session_id, status, attempts, consumed_at, next_retry_at)"
    " SELECT event_id, session_id, CASE WHEN seq = %(stuck)s THEN 'dead_letter' ELSE 'consumed' END, 1, now(),"
    " now() + interval '1 day' FROM timeline_events WHERE session_id = %(id)s"
)
_RUN = (
    "INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,"
    " idempotency_key, status, created_at, updated_at) VALUES (%(run)s, 't', %(id)s, 'u', %(provider)s, 'async',"
    " 'normal', 'k', %(status)s, now() - %(age)s::interval, now() - %(age)s::interval)"
)


def add(
    connection: psycopg.Connection, session_id: str, *, old: int, count: int, stuck: int = 0, user: str = "u"
) -> None:
    values = {"id": session_id, "user": user, "old": old, "count": count, "stuck": stuck}
    for statement in (_SESSION, _EVENTS, _OUTBOX):
        connection.execute(statement, values)


def add_run(
    connection: psycopg.Connection, run: str, *, provider: str, age: str, status: str = "completed"
) -> None:
    connection.execute(_RUN, {"id": "long", "run": run, "provider": provider, "age": age, "status": status})


async def test_the_old_beginning_goes_and_nothing_that_somebody_waits_for(
    database_url: str, redis_url: str, service: Callable[..., ServiceProcess]
) -> None:
    most = retention.MOST_EVENTS
    with psycopg.connect(database_url, autocommit=True) as connection:
        add(connection, "long", old=2 * most + 3, count=2 * most + 5)
        add(connection, "young", old=0, count=3)
        add(connection, "stuck", old=6, count=7, stuck=4)
        add(connection, "stuck-first", old=6, count=7, stuck=1)
        add(connection, "all-old", old=3, count=3)
        add(connection, "wx", old=4, count=4, user="wx:p")
        connection.execute("INSERT INTO wechat_people (openid) VALUES ('p')")
        connection.execute(
            "INSERT INTO wechat_replies (event_id, openid, position, session_id, trace_id, text, state)"
            " VALUES ('wx-3', 'p', 1, 'wx', 't', 'x', 'parked')"
        )
        for run, provider, age, status in (
            ("r1", "plan", "50 days", "completed"),
            ("r2", "plan", "45 days", "failed"),
            ("r3", "plan", "44 days", "completed"),
            ("r4", "work", "50 days", "running"),
            ("r5", "work", "41 days", "completed"),
            ("r6", "work", "2 days", "completed"),
        ):
            add_run(connection, run, provider=provider, age=age, status=status)
        service(
            "worker",
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            UNIASSIST_STREAM_PREFIX="trimmed:",
            RETENTION_SESSION_DAYS="0",
            RETENTION_TIMELINE_DAYS=str(DAYS),
            OUTBOX_RETENTION_HOURS="0",
        )

        def first(session_id: str) -> int | None:
            query = "SELECT min(seq) FROM timeline_events WHERE session_id = %s"
            found = connection.execute(query, [session_id]).fetchone()
            return found[0] if found is not None else None

        expected = {
            "long": 2 * most + 4,
            "young": 1,
            "stuck": 4,
            "stuck-first": 1,
            "all-old": None,
            "wx": 3,
        }
        await eventually(lambda: {each: first(each) for each in expected} == expected, "what is old is gone", 30)
        query = "SELECT count(*), max(seq) - min(seq) + 1 FROM timeline_events WHERE session_id = %s"
        for session_id in expected.keys() - {"all-old"}:
            found = connection.execute(query, [session_id]).fetchone()
            assert found is not None
            assert found[0] == found[1], f"{session_id}: no gaps"
        orphans = "SELECT count(*) FROM outbox_events WHERE event_id NOT IN (SELECT event_id FROM timeline_events)"
        assert connection.execute(orphans).fetchone() == (0,)
        runs = {row[0] for row in connection.execute("SELECT run_id FROM provider_runs")}
        assert runs == {"r3", "r4", "r6"}, "under way, young, or the last of its provider"
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (6,)
