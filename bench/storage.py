"""`python -m bench.storage`: the bytes that an input leaves behind, in Postgres, its WAL and Redis.

First real inputs over HTTP, delivered by a worker; then their rows again and again with ids and sessions of their
own until there are `--inputs`: only so large are tables and indexes as full as they stay. Some two minutes.
Writes bench/results/storage.md. No part of `make bench`, which measures time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import asyncpg
from redis import Redis

from bench.cost import TEXTS, UNCONSUMED, UNFINISHED
from bench.ingest import SESSIONS, Load, load
from bench.stage import Stage, connect, stage, until

TABLES = ("timeline_events", "outbox_events", "provider_runs", "sessions", "idempotency_keys", "plan_answers")
PREFIX = "uniassist:timeline:"
GLOBAL = f"{PREFIX}all".encode()
RESULT = Path(__file__).parent / "results/storage.md"
_CONNECTIONS = 16
_SECONDS = 10
# A person's ten inputs a session.
_INPUTS_OF_A_SESSION = 10

# Each step copies the rows of as many inputs as there were real ones. Ids keep their length, and are nearly in the
# order of time, as ours are. A copy of the outbox is consumed, as a row is for nearly all of its life.
COPY = """
WITH source AS MATERIALIZED (
    SELECT run_id, 'c' || $1 || '-' || (row_number() OVER () / $2) AS session_id
    FROM provider_runs WHERE run_id NOT LIKE 'z%'
), run AS (
    INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,
                               idempotency_key, status, score)
    SELECT 'z' || lpad($1, 4, '0') || substr(r.run_id, 6), r.trace_id, s.session_id, 'u-' || s.session_id,
           r.provider_id, r.mode, r.routing_mode, r.idempotency_key, r.status, r.score
    FROM provider_runs r JOIN source s USING (run_id) ORDER BY r.run_id
), event AS MATERIALIZED (
    SELECT 'z' || lpad($1, 4, '0') || substr(e.event_id, 6) AS new_id, s.session_id AS its,
           row_number() OVER (PARTITION BY s.session_id ORDER BY e.seq, e.event_id) AS new_seq, e.*
    FROM timeline_events e
    CROSS JOIN LATERAL (SELECT coalesce(e.run_id, (
        SELECT o.run_id FROM timeline_events o WHERE o.session_id = e.session_id AND o.seq > e.seq
            AND o.run_id IS NOT NULL ORDER BY o.seq LIMIT 1)) AS its_run) f
    JOIN source s ON s.run_id = f.its_run
    WHERE e.event_id NOT LIKE 'z%'
), timeline AS (
    INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms,
                                 kind, extension_kind, render_schema_ref, payload)
    SELECT new_id, trace_id, its, 'u-' || its, provider_id, run_id, new_seq, timestamp_ms, kind, extension_kind,
           render_schema_ref, payload FROM event ORDER BY new_id
), outbox AS (
    INSERT INTO outbox_events (event_id, session_id, status, attempts, epoch, delivered_at, consumed_at,
                               consumed_by)
    SELECT new_id, its, 'consumed', o.attempts, o.epoch, now(), now(), o.consumed_by
    FROM event JOIN outbox_events o USING (event_id) ORDER BY new_id
)
INSERT INTO sessions (session_id, user_id, seq, state)
SELECT its, 'u-' || its, max(new_seq), '{}' FROM event GROUP BY its
"""


async def measure(stage: Stage, *, inputs: int) -> dict[str, Any]:
    """By kind: bytes for an input. `inputs`: of the builtin chat, copies included."""
    return {
        "chat": await _kind(stage, "chat", inputs),
        "routed": await _kind(stage, "routed", 0),
    }


async def _kind(stage: Stage, kind: str, inputs: int) -> dict[str, Any]:
    url = stage.fresh_database("storage")
    environment = {}
    if kind == "routed":
        _, environment["UNIASSIST_PLAN_PROVIDER_BASE_URL"] = stage.start("provider-plan", url)
    _, gateway = stage.start("gateway", url, **environment)
    stage.start("worker", url)
    connection = await connect(url)
    redis = Redis.from_url(stage.redis.url)

    async def is_done() -> bool:
        return not await connection.fetchval(UNFINISHED) and not await connection.fetchval(UNCONSUMED)

    began, wal, memory = await _sizes(connection), await _wal(connection), redis.info("memory")["used_memory"]
    _, latencies = await asyncio.to_thread(load, Load(gateway, _CONNECTIONS, _SECONDS, text=TEXTS[kind]))
    await until(is_done, 120, every_seconds=0.25)
    real = len(latencies)
    found: dict[str, Any] = {
        "inputs": real,
        "events": round(await connection.fetchval("SELECT count(*) FROM timeline_events") / real, 2),
        "wal": round((await _wal(connection) - wal) / real),
        "redis": round((redis.info("memory")["used_memory"] - memory) / real),
        **_streams(redis),
    }
    stage.stop_services()
    await connection.execute("VACUUM ANALYZE")
    found["real"] = {name: _each(size, began[name], real) for name, size in (await _sizes(connection)).items()}
    if inputs:
        copied, runs = 0, await connection.fetchval("SELECT count(*) FROM provider_runs")
        while (copied + 1) * runs <= inputs:
            copied += 1
            await connection.execute(COPY, str(copied), _INPUTS_OF_A_SESSION, timeout=300)
        await connection.execute("VACUUM ANALYZE", timeout=300)
        total = await connection.fetchval("SELECT count(*) FROM provider_runs")
        found["many"] = {
            "inputs": total,
            "events": round(await connection.fetchval("SELECT count(*) FROM timeline_events") / total, 2),
            "tables": {name: _each(size, began[name], total) for name, size in (await _sizes(connection)).items()},
        }
    redis.close()
    await connection.close()
    return found


def _streams(redis: Redis) -> dict[str, int]:
    """Bytes of a session stream and of each event on it, by how they grow; entries on the global stream."""
    keys = [key for key in redis.scan_iter(f"{PREFIX}*", count=1000) if key != GLOBAL]
    lengths = [redis.xlen(key) for key in keys]
    event, stream = statistics.linear_regression(lengths, [redis.memory_usage(key, samples=0) or 0 for key in keys])
    return {"stream": round(stream), "stream_event": round(event), "global_entries": redis.xlen(GLOBAL)}


async def _sizes(connection: asyncpg.Connection) -> dict[str, tuple[int, int]]:
    """Bytes of each table, and of its indexes."""
    rows = await connection.fetch(
        "SELECT name, pg_table_size(name::regclass) AS own, pg_indexes_size(name::regclass) AS indexes "
        "FROM unnest($1::text[]) AS name",
        list(TABLES),
    )
    return {row["name"]: (row["own"], row["indexes"]) for row in rows}


async def _wal(connection: asyncpg.Connection) -> int:
    """Bytes that were ever written. A checkpoint first: full pages count as they do after any checkpoint."""
    await connection.execute("CHECKPOINT")
    return int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def _each(size: tuple[int, int], before: tuple[int, int], inputs: int) -> tuple[int, int]:
    return round((size[0] - before[0]) / inputs), round((size[1] - before[1]) / inputs)


def page(found: dict[str, Any]) -> str:
    """As Markdown."""
    chat, routed = found["chat"], found["routed"]
    many = chat["many"]
    columns = {"chat, real": chat["real"], "routed, real": routed["real"], "chat, with copies": many["tables"]}
    lines = [
        "# What an input leaves behind",
        "",
        f"`python -m bench.storage`, {time.strftime('%Y-%m-%d')}: {chat['inputs']:,} inputs of 186 characters that "
        f"the builtin chat answers ({chat['events']} events each) and {routed['inputs']:,} that provider-plan "
        f"answers ({routed['events']}), over HTTP into {SESSIONS:,} sessions, delivered; then the chat's rows "
        f"until there were {many['inputs']:,} inputs ({many['events']} events each). Bytes for an input, table + "
        "indexes, after VACUUM.",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name in TABLES:
        cells = (f"{own:,} + {indexes:,}" for own, indexes in (column[name] for column in columns.values()))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    sums = (sum(own + indexes for own, indexes in column.values()) for column in columns.values())
    lines.append("| **all** | " + " | ".join(f"**{each:,}**" for each in sums) + " |")
    for name, title in (("wal", "WAL, in all"), ("redis", "Redis, streams of the sessions and the global one")):
        lines.append(f"| {title} | {chat[name]:,} | {routed[name]:,} | |")
    lines += [
        "",
        f"A session stream takes {chat['stream']:,} bytes and {chat['stream_event']:,} for each event of the chat "
        f"({routed['stream']:,} and {routed['stream_event']:,} of provider-plan), by least squares over them; "
        f"{chat['global_entries']:,} entries were left on the global stream.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.storage", description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000, help="with copies; 200,000 unless said otherwise")
    chosen = parser.parse_args()
    with stage() as built:
        found = asyncio.run(measure(built, inputs=chosen.inputs))
    RESULT.write_text(page(found), "utf-8")
    print(page(found), flush=True)


if __name__ == "__main__":
    main()
