"""Tables that have grown: retention costs by what is old, and the console looks at no more than it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from uniassist.store import console, delivery, retention
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool, create_pool

Plan = dict[str, Any]

# A session of :state characters with two events that were delivered.
_FILL = """
WITH s AS (
    INSERT INTO sessions (session_id, user_id, seq, created_at, last_activity_at, state)
    SELECT %(kind)s || n, 'u', 2, now() - %(age)s::interval, now() - %(idle)s::interval,
           jsonb_build_object('said', repeat('x', %(state)s))
    FROM generate_series(1, %(count)s) AS n RETURNING session_id
), e AS (
    INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload,
                                 created_at)
    SELECT session_id || '-' || seq, 't', session_id, 'u', seq, 0, 'inbound', '{}', now() - %(age)s::interval
    FROM s CROSS JOIN generate_series(1, 2) AS seq ORDER BY 1 RETURNING event_id, session_id, created_at
)
INSERT INTO outbox_events (event_id, session_id, status, created_at, consumed_at)
SELECT event_id, session_id, 'consumed', created_at, created_at FROM e
"""


def fill(url: str, kind: str, *, count: int, age: str, idle: str, state: int = 0) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        values = {"kind": kind, "count": count, "age": age, "idle": idle, "state": state}
        connection.execute(_FILL, values)


def left(url: str, table: str) -> dict[str, int]:
    """How many rows are left of each kind of session."""
    query = f"SELECT substring(session_id FROM '^[a-z]+') AS kind, count(*) FROM {table} GROUP BY 1"
    with psycopg.connect(url) as connection:
        return dict(connection.execute(query).fetchall())


async def forget_all(pool: Pool, *, days: int) -> list[int]:
    """The pages that slices began with, until the walk ended."""
    pages, page = [0], 0
    while (found := await retention.forget_sessions(pool, page=page, days=days)).next_page is not None:
        page = found.next_page
        pages.append(page)
        assert len(pages) < 200, "the walk comes to an end"
    return pages


async def test_the_walk_over_the_pages_finds_whatever_is_old(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE_PAGES", 3)
    for kind, age, idle in (
        ("old", "90 days", "90 days"),
        ("young", "1 day", "1 day"),
        ("used", "90 days", "1 day"),
        ("older", "95 days", "60 days"),
    ):
        fill(database_url, kind, count=45, age=age, idle=idle, state=500)
    async with await delivery.create_pool(database_url) as pool:
        pages = await forget_all(pool, days=30)
        assert await forget_all(pool, days=30) == sorted(set(pages)), (
            "and now none goes: no page is looked at twice"
        )
    assert pages == sorted(pages)
    assert len(set(pages)) > 2, "several slices"
    assert len(pages) > len(set(pages)), "more than MOST_AT_ONCE went of one"
    assert left(database_url, "sessions") == {"young": 45, "used": 45}
    for table in ("timeline_events", "outbox_events"):
        assert left(database_url, table) == {"young": 90, "used": 90}


async def test_sessions_that_can_lose_nothing_yet_take_no_turn_of_others(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 2)
    fill(database_url, "waiting", count=2, age="90 days", idle="1 day")
    fill(database_url, "old", count=2, age="90 days", idle="1 day")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO wechat_people (openid) VALUES ('p')")
        connection.execute(
            "INSERT INTO wechat_replies (event_id, openid, position, session_id, trace_id, text, state)"
            " SELECT event_id, 'p', row_number() OVER (ORDER BY event_id), session_id, 't', 'x', 'parked'"
            " FROM timeline_events WHERE session_id LIKE 'waiting%'"
        )
    async with await delivery.create_pool(database_url) as pool:
        trimmed = await retention.trim_timelines(pool, page=0, days=30)
    assert trimmed.events == 4
    assert left(database_url, "timeline_events") == {"waiting": 4}


async def test_a_walk_over_an_empty_table_ends_at_once(database_url: str) -> None:
    async with await delivery.create_pool(database_url) as pool:
        assert await retention.forget_sessions(pool, page=0, days=1) == retention.Forgotten(0, None)
        assert await retention.forget_sessions(pool, page=1000, days=1) == retention.Forgotten(0, None)
        assert not (await retention.trim_timelines(pool, page=1000, days=1)).more


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_young_sessions_cost_their_own_rows_only(database_url: str, mode: str, analyzed: bool) -> None:
    fill(database_url, "young", count=3000, age="1 day", idle="1 day")
    fill(database_url, "old", count=5, age="90 days", idle="1 day")
    with psycopg.connect(database_url, autocommit=True) as connection:
        if analyzed:
            connection.execute("ANALYZE")
    asked: dict[str, dict[str, object]] = {
        "forget_sessions": {"most": 20},
        "trim_timelines": {"most": 20, "events": 500},
        "trim_runs": {"most": 500},
    }
    async with await delivery.create_pool(database_url) as pool, pool.acquire() as connection:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        for name, more in asked.items():
            sql, *values = statements("retention")[name](page=0, pages=64, days=30, **more)
            async with connection.transaction():
                plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values)
            found = list(_nodes(json.loads(plan)[0]["Plan"]))
            walked = [node for node in found if node["Node Type"] == "Tid Range Scan"]
            assert walked, f"{name}: by pages, not {[node for node in found if 'Index Name' in node]}"
            looked_at = sum(
                node["Actual Rows"] * node["Actual Loops"]
                for node in found
                if node.get("Relation Name") in ("timeline_events", "outbox_events", "provider_runs")
            )
            assert looked_at <= 5 * 2 * 10, f"{name}: nothing of the young ones"


async def test_the_console_lists_sessions_without_reading_them_all(database_url: str) -> None:
    fill(database_url, "s", count=25_000, age="9 days", idle="9 days")
    fill(database_url, "now", count=30, age="1 hour", idle="1 hour")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    async with await create_pool(database_url, application_name="test") as pool:
        rows = await console.sessions(pool, of=None, limit=50)
        sql, *values = statements("console")["recent_sessions"](limit=50)
        plan = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values)
    assert {row["session_id"] for row in rows[:30]} == {f"now{n}" for n in range(1, 31)}
    assert len(rows) == 50
    read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in _nodes(json.loads(plan)[0]["Plan"])
        if node.get("Relation Name") == "sessions"
    )
    assert 50 <= read <= 5000, "of the newest 5,000 events"


def _nodes(node: Plan) -> Iterator[Plan]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
