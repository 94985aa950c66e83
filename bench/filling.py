"""A database that has grown: millions of events of builtin chat, written by the server itself, in order of time.

The four rows of one real input are the pattern. Of a day's sessions each writes ten inputs, spread over the day, so
a session's events lie as far apart in the table as they do in life. The outbox has the last seven days of all.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

EVENTS_OF_AN_INPUT = 4
INPUTS_OF_A_SESSION = 10
DAYS = 35
OUTBOX_DAYS = 7
LONG, LONG_INPUTS = "grown-long", 2500  # a session of 10,000 events
LEAST_FREE = 20 * 2**30
_CHUNK = 250_000

# What the migrations made, without its keys: they are built at the end. Each in the transaction that fills the
# table, so that with `wal_level = minimal` nothing of it is logged.
_PLAIN = {
    "timeline_events": "TRUNCATE timeline_events; ALTER TABLE timeline_events "
    "DROP CONSTRAINT timeline_events_pkey, DROP CONSTRAINT timeline_events_session_id_seq_key",
    "outbox_events": "TRUNCATE outbox_events; ALTER TABLE outbox_events DROP CONSTRAINT outbox_events_pkey, "
    "DROP CONSTRAINT outbox_events_event_id_key",
    "provider_runs": "TRUNCATE provider_runs, provider_calls; DROP INDEX provider_runs_by_session, "
    "provider_runs_by_user",
    "sessions": "TRUNCATE sessions; DROP INDEX sessions_by_user",
}
_KEYS = {
    "timeline_events": [
        "ALTER TABLE timeline_events ADD PRIMARY KEY (event_id)",
        "ALTER TABLE timeline_events ADD UNIQUE (session_id, seq)",
    ],
    "outbox_events": [
        "ALTER TABLE outbox_events ADD PRIMARY KEY (id)",
        "ALTER TABLE outbox_events ADD UNIQUE (event_id)",
    ],
    "provider_runs": [
        "CREATE INDEX provider_runs_by_session ON provider_runs (session_id, created_at)",
        "CREATE INDEX provider_runs_by_user ON provider_runs (user_id)",
    ],
    "sessions": ["CREATE INDEX sessions_by_user ON sessions (user_id, created_at DESC)"],
}
_OUTBOX_INDEXES = """
CREATE INDEX outbox_pending ON outbox_events (id) WHERE status = 'pending';
CREATE INDEX outbox_processing ON outbox_events (id) WHERE status = 'processing';
CREATE INDEX outbox_failed ON outbox_events (session_id, id) WHERE status = 'failed';
CREATE INDEX outbox_retries ON outbox_events (next_retry_at) WHERE status = 'failed' AND next_retry_at IS NOT NULL;
CREATE INDEX outbox_delivered ON outbox_events (epoch, id) WHERE status = 'delivered';
CREATE INDEX outbox_dead_letter ON outbox_events (id) WHERE status = 'dead_letter';
"""
_STORAGE = "WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)"
_LIKE = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
LAYOUTS = ("plain", "outbox", "range", "hash")

# Input i of $3: its session, by the day, and which of the session's it is. One in so many is the long one's.
_FUNCTIONS = f"""
CREATE FUNCTION pg_temp.session_of(i bigint, inputs bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN i % (inputs / {LONG_INPUTS}) = 0 THEN '{LONG}'
           ELSE md5((i / (inputs / {DAYS}) * 1000000000
                     + i % (inputs / {DAYS}) % (inputs / {DAYS} / {INPUTS_OF_A_SESSION}))::text)::uuid::text END
$$;
CREATE FUNCTION pg_temp.turn_of(i bigint, inputs bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN i % (inputs / {LONG_INPUTS}) = 0 THEN i / (inputs / {LONG_INPUTS})
           ELSE i % (inputs / {DAYS}) / (inputs / {DAYS} / {INPUTS_OF_A_SESSION}) END
$$;
CREATE FUNCTION pg_temp.at(i bigint, inputs bigint, now timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$ SELECT now - interval '{DAYS} days' * (1 - i::float8 / inputs) $$;
"""
# What an input's events share is worked out once (OFFSET 0 keeps it so), and inputs come in order.
_INPUT = """
(SELECT i, pg_temp.session_of(i, $3) AS s, pg_temp.turn_of(i, $3) * 4 AS before, at,
        (extract(epoch FROM at) * 1000)::bigint AS ms, to_hex((extract(epoch FROM at) * 1000)::bigint) AS hex
 FROM (SELECT i, pg_temp.at(i, $3, $4) AS at FROM generate_series($1::bigint, $2::bigint - 1) AS i OFFSET 0)
     AS timed OFFSET 0) AS input
"""
_TIMELINE = f"""
INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
                             extension_kind, render_schema_ref, payload, created_at)
SELECT lpad(hex, 12, '0') || '7' || substr(md5((i * 8 + e.seq)::text), 1, 19), 'trace-' || i, s, 'u-' || s,
       e.provider_id,
       CASE WHEN e.run_id IS NOT NULL THEN lpad(hex, 12, '0') || '7' || substr(md5((i * 8)::text), 1, 19) END,
       before + e.seq, ms, e.kind, e.extension_kind, e.render_schema_ref, e.payload, at
FROM {_INPUT} CROSS JOIN LATERAL (SELECT * FROM pattern WHERE seq > i * 0) AS e
"""
_OUTBOX = f"""
INSERT INTO outbox_events (event_id, session_id, status, epoch, created_at, delivered_at, consumed_at, consumed_by,
                           updated_at)
SELECT lpad(hex, 12, '0') || '7' || substr(md5((i * 8 + n)::text), 1, 19), s, 'consumed', '0001790000000000-grown',
       at, at + interval '30 ms', at + interval '60 ms', 'worker-1', at + interval '60 ms'
FROM {_INPUT} CROSS JOIN LATERAL generate_series(1 + 0 * i, 4) AS n
"""
_RUNS = f"""
INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode, idempotency_key,
                           status, score, created_at, updated_at)
SELECT lpad(hex, 12, '0') || '7' || substr(md5((i * 8)::text), 1, 19), 'trace-' || i, s,
       'u-' || s, 'builtin_chat', 'sync', 'fallback', 'trace-' || i,
       'completed', 0.5, at, at
FROM {_INPUT}
"""
# A session's row by its first input and its last.
_SESSIONS = """
INSERT INTO sessions (session_id, user_id, seq, last_activity_at, created_at, state)
SELECT s, 'u-' || s, (1 + max(turn)) * 4, max(at), min(at), '{}'
FROM (SELECT pg_temp.session_of(i, $3) AS s, pg_temp.turn_of(i, $3) AS turn, pg_temp.at(i, $3, $4) AS at
      FROM generate_series($1::bigint, $2::bigint - 1) AS i) AS input
GROUP BY s ORDER BY max(at)
ON CONFLICT (session_id) DO UPDATE SET seq = EXCLUDED.seq, last_activity_at = EXCLUDED.last_activity_at
"""
_FILLS = {"timeline_events": _TIMELINE, "outbox_events": _OUTBOX, "provider_runs": _RUNS, "sessions": _SESSIONS}


def layout_sql(layout: str, table: str, inputs: int, now_ms: int) -> str:
    """The prototype's DDL in place of a plain table; empty where the layout leaves that table as it is."""
    if table == "outbox_events" and layout in ("outbox", "range"):
        rows = inputs * EVENTS_OF_AN_INPUT * OUTBOX_DAYS // DAYS
        day = rows // OUTBOX_DAYS + 1
        # The last is the one that is being written; beside it, what nobody made one for.
        bounds = [(str(n), n * day, (n + 1) * day) for n in range(OUTBOX_DAYS)]
        parts = [
            f"CREATE TABLE outbox_{name} PARTITION OF outbox_events FOR VALUES "
            f"FROM ({first}) TO ({last}) {_STORAGE}"
            for name, first, last in (*bounds, ("now", OUTBOX_DAYS * day, 10**9))
        ]
        parts.append("CREATE TABLE outbox_rest PARTITION OF outbox_events DEFAULT")
        return (
            "ALTER TABLE outbox_events RENAME TO outbox_before; "
            f"CREATE TABLE outbox_events (LIKE outbox_before {_LIKE}) PARTITION BY RANGE (id); "
            "ALTER SEQUENCE outbox_events_id_seq OWNED BY outbox_events.id; DROP TABLE outbox_before; "
            + "; ".join(parts)
        )
    if table == "timeline_events" and layout in ("range", "hash"):
        by = "RANGE (event_id)" if layout == "range" else "HASH (session_id)"
        if layout == "hash":
            parts = [
                f"CREATE TABLE timeline_{n} PARTITION OF timeline_events "
                f"FOR VALUES WITH (MODULUS 16, REMAINDER {n})"
                for n in range(16)
            ]
        else:
            days = [f"'{now_ms - (DAYS - n) * 86_400_000:012x}'" for n in range(1, DAYS)]
            parts = [
                f"CREATE TABLE timeline_{n} PARTITION OF timeline_events FOR VALUES FROM ({first}) TO ({last})"
                for n, (first, last) in enumerate(itertools.pairwise(["MINVALUE", *days, "MAXVALUE"]))
            ]
        return (
            "ALTER TABLE timeline_events RENAME TO timeline_before; "
            f"CREATE TABLE timeline_events (LIKE timeline_before {_LIKE}) PARTITION BY {by}; "
            "DROP TABLE timeline_before; " + "; ".join(parts)
        )
    return ""


def _keys(layout: str, table: str) -> list[str]:
    if table == "timeline_events" and layout == "range":
        return [
            "ALTER TABLE timeline_events ADD PRIMARY KEY (event_id)",
            "CREATE INDEX timeline_by_session ON timeline_events (session_id, seq)",
        ]
    if table == "timeline_events" and layout == "hash":
        return [
            "ALTER TABLE timeline_events ADD PRIMARY KEY (event_id, session_id)",
            "ALTER TABLE timeline_events ADD UNIQUE (session_id, seq)",
        ]
    if table == "outbox_events" and layout in ("outbox", "range"):
        each = [f"outbox_{n}" for n in (*range(OUTBOX_DAYS), "now", "rest")]
        return [
            "ALTER TABLE outbox_events ADD PRIMARY KEY (id)",
            _OUTBOX_INDEXES,
            *(f"ALTER TABLE {name} ADD UNIQUE (event_id)" for name in each),
        ]
    return _KEYS[table]


async def pattern_of(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """The events of one real input, seq 1 to 4."""
    return list(
        await connection.fetch(
            "SELECT provider_id, run_id, (row_number() OVER (ORDER BY seq))::bigint AS seq, kind, extension_kind, "
            "render_schema_ref, payload FROM timeline_events WHERE session_id = "
            "(SELECT session_id FROM sessions WHERE seq >= 4 LIMIT 1) AND seq <= 4 ORDER BY seq"
        )
    )


async def fill(
    connect: Callable[[], Awaitable[asyncpg.Connection]],
    pattern: list[asyncpg.Record],
    *,
    events: int,
    layout: str,
    directory: Path,
) -> None:
    """The tables at once, two at a time; every key and index is built when its table is full."""
    inputs = events // EVENTS_OF_AN_INPUT // (DAYS * INPUTS_OF_A_SESSION) * DAYS * INPUTS_OF_A_SESSION
    now_ms = int(time.time() * 1000)
    turns = asyncio.Semaphore(2)

    async def table(name: str) -> None:
        async with turns:
            connection = await connect()
            began = time.monotonic()
            await connection.execute("SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'; SET jit = off")
            await connection.execute("SET max_parallel_maintenance_workers = 1; SET synchronous_commit = off")
            await connection.execute(_FUNCTIONS)
            await connection.execute(
                "CREATE TEMP TABLE pattern (provider_id text, run_id text, seq bigint, kind text, "
                "extension_kind text, render_schema_ref text, payload jsonb)"
            )
            await connection.executemany(
                "INSERT INTO pattern (provider_id, run_id, seq, kind, extension_kind, render_schema_ref, payload) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                [tuple(row) for row in pattern],
            )
            await connection.execute("ANALYZE pattern")
            async with connection.transaction():
                changed = layout_sql(layout, name, inputs, now_ms)
                await connection.execute(changed or _PLAIN[name])
                first = inputs - inputs * OUTBOX_DAYS // DAYS if name == "outbox_events" else 0
                for start in range(first, inputs, _CHUNK):
                    if shutil.disk_usage(directory).free < LEAST_FREE:
                        raise RuntimeError("less than 20 GB of disk are left")
                    end = min(start + _CHUNK, inputs)
                    await connection.execute(_FILLS[name], start, end, inputs, _at(now_ms), timeout=1800)
                    _say(f"{name} {layout}: {end:,} of {inputs:,} inputs, {time.monotonic() - began:.0f} s")
                for statement in _keys(layout, name):
                    await connection.execute(statement, timeout=3600)
                    _say(f"{name} {layout}: {statement[:60]}, {time.monotonic() - began:.0f} s")
            await connection.execute(f"VACUUM (FREEZE, ANALYZE) {name}", timeout=3600)
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for name in _FILLS:
            group.create_task(table(name))


def _at(ms: int) -> object:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
