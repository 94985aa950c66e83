"""The delivery engine's figures: drain, latency, recovery, cost when idle."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncpg
from redis.asyncio import Redis

from bench import peers
from bench.stage import Stage, connect, cpu_seconds, percentile, until
from uniassist.devstack.postgres import binaries

ROW_BYTES = 512
SESSIONS = 1000
Entries = list[tuple[bytes, dict[bytes, bytes]]]
Write = Callable[[asyncpg.Connection, str, int], Awaitable[None]]
LEFT = "SELECT count(*) FROM outbox_events WHERE status <> 'consumed'"
LAGS = """SELECT extract(epoch FROM consumed_at - created_at)::float8 * 1000 AS ms
FROM outbox_events WHERE event_id LIKE $1"""


async def write_timeline(connection: asyncpg.Connection, name: str, events: int) -> None:
    """Events as the gateway writes them: on the timeline, with an outbox row without payload."""
    await connection.execute(
        """INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)
        SELECT $1 || '-' || g, 'bench', $1 || '-s' || g % $3, 'u', (g - 1) / $3 + 1, 0, 'inbound',
               jsonb_build_object('text', repeat('x', $4)) FROM generate_series(1, $2::int) g""",
        name,
        events,
        SESSIONS,
        ROW_BYTES,
    )
    await connection.execute(
        """INSERT INTO outbox_events (event_id, session_id)
        SELECT $1 || '-' || g, $1 || '-s' || g % $3 FROM generate_series(1, $2::int) g""",
        name,
        events,
        SESSIONS,
    )


async def write_bare(connection: asyncpg.Connection, name: str, events: int) -> None:
    """Events as an operator or another program writes them: rows of the outbox alone, with their payloads."""
    await connection.execute(
        """INSERT INTO outbox_events (event_id, session_id, payload)
        SELECT $1 || '-' || g, $1 || '-s' || g % $3, jsonb_build_object('text', repeat('x', $4))
        FROM generate_series(1, $2::int) g""",
        name,
        events,
        SESSIONS,
        ROW_BYTES,
    )


KINDS = {"gateway": write_timeline, "bare": write_bare}


async def drain(stage: Stage, *, events: int, peer_jobs: int, rounds: int) -> dict[str, Any]:
    """Pending → consumed, against PgQueuer's and procrastinate's no-op jobs, in turn, in the same minutes."""
    theirs, ours = list[float](), {kind: list[float]() for kind in KINDS}
    for number in range(rounds):
        theirs.append(
            await peers.pgqueuer(stage.fresh_database("peer", migrated=False), peer_jobs, batch_size=1000)
        )
        for kind, rates in ours.items():
            rates.append(await _drain_once(stage, f"{kind}{number}", events, KINDS[kind]))
    slow = await peers.procrastinate(stage.fresh_database("peer", migrated=False), min(2000, peer_jobs))
    median, bare, peer = (percentile(rates, 0.5) for rates in (ours["gateway"], ours["bare"], theirs))
    return {
        "events": events,
        "per_second": round(median),
        "rounds": [round(rate) for rate in ours["gateway"]],
        "bare_per_second": round(bare),
        "bare_rounds": [round(rate) for rate in ours["bare"]],
        "pgqueuer_per_second": round(peer),
        "pgqueuer_rounds": [round(rate) for rate in theirs],
        "procrastinate_per_second": round(slow),
        "pgbench_updates_per_second": round(pgbench_updates(stage, seconds=5)),
        "ratio_to_pgqueuer": round(median / peer, 2),
        "bare_ratio_to_pgqueuer": round(bare / peer, 2),
    }


async def _drain_once(stage: Stage, name: str, events: int, write: Write) -> float:
    url = stage.fresh_database("drain")
    connection = await connect(url)
    await write(connection, name, events)
    await connection.execute("VACUUM ANALYZE")
    stage.start("worker", url, UNIASSIST_STREAM_PREFIX=f"{name}:")

    async def is_drained() -> bool:
        return int(await connection.fetchval(LEFT)) == 0

    await until(is_drained, 300, every_seconds=0.2)
    row = await connection.fetchrow(
        "SELECT extract(epoch FROM max(consumed_at) - min(locked)) AS seconds FROM (SELECT consumed_at, "
        "coalesce(delivered_at, consumed_at) AS locked FROM outbox_events) AS o"
    )
    stage.stop_services()
    await connection.close()
    assert row is not None
    return events / float(row["seconds"])


async def latency(stage: Stage, *, idle_events: int, steady_seconds: int) -> dict[str, Any]:
    """Commit → consumed: one event at a time, then 200 a second. Hints as the gateway gives them."""
    url = stage.fresh_database("latency")
    process, _ = stage.start("worker", url, UNIASSIST_STREAM_PREFIX="lat:")
    connection, redis = await connect(url), Redis.from_url(stage.redis.url)
    await write_timeline(connection, "warm", 200)
    await redis.publish("lat:wake", b"1")
    await asyncio.sleep(2)
    for number in range(idle_events):
        await _one(connection, redis, f"idle-{number}")
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    idle = [row["ms"] for row in await connection.fetch(LAGS, "idle-%")]
    began, busy = time.monotonic(), cpu_seconds(process)
    for number in range(steady_seconds * 200):
        await asyncio.sleep(max(0.0, began + number / 200 - time.monotonic()))
        await _one(connection, redis, f"steady-{number}")
    busy = (cpu_seconds(process) - busy) / (time.monotonic() - began)
    await asyncio.sleep(2)
    steady = [row["ms"] for row in await connection.fetch(LAGS, "steady-%")]
    await redis.aclose()
    await connection.close()
    stage.stop_services()
    return {
        "idle_p50_ms": round(percentile(idle, 0.5), 2),
        "idle_p99_ms": round(percentile(idle, 0.99), 2),
        "steady_seconds": steady_seconds,
        "steady_p50_ms": round(percentile(steady, 0.5), 2),
        "steady_p99_ms": round(percentile(steady, 0.99), 2),
        "steady_worker_cpu": round(busy, 3),
        "unfinished": steady_seconds * 200 - len(steady),
    }


async def _one(connection: asyncpg.Connection, redis: Redis, event_id: str) -> None:
    await connection.execute(
        "INSERT INTO outbox_events (event_id, session_id, payload) VALUES ($1, $2, '{\"a\": 1}')",
        event_id,
        f"s-{hash(event_id) % 50}",
    )
    await redis.publish("lat:wake", b"1")


async def recovery(stage: Stage, *, events: int) -> dict[str, Any]:
    """A worker killed under load, then a Redis emptied with everything unconsumed."""
    url = stage.fresh_database("recovery")
    connection, redis = await connect(url), Redis.from_url(stage.redis.url)
    first, _ = stage.start("worker", url, UNIASSIST_STREAM_PREFIX="kill:", UNIASSIST_STREAM_CONSUMER="one")
    stage.start("worker", url, UNIASSIST_STREAM_PREFIX="kill:", UNIASSIST_STREAM_CONSUMER="two")
    await asyncio.sleep(2.5)  # both have their share
    await write_timeline(connection, "kill", events // 2)

    async def is_half() -> bool:
        return int(await connection.fetchval(LEFT)) < events // 4

    async def is_drained() -> bool:
        return int(await connection.fetchval(LEFT)) == 0

    await until(is_half, 60)
    first.kill()
    after_kill = await until(is_drained, 120)
    await write_timeline(connection, "more", 200)
    stage.stop_services()
    await connection.execute("DELETE FROM outbox_events")
    flushed = await _flush(stage, connection, redis, url, events)
    await redis.aclose()
    await connection.close()
    return {"killed_to_consumed_seconds": round(after_kill, 2), **flushed}


async def _flush(
    stage: Stage, connection: asyncpg.Connection, redis: Redis, url: str, events: int
) -> dict[str, Any]:
    """All published while nobody may read, then FLUSHALL: what isn't on its session's stream at the end is lost."""
    stage.start("worker", url, UNIASSIST_STREAM_PREFIX="flush:")
    await _let_read(redis, "-xreadgroup")
    await write_timeline(connection, "flush", events)

    async def are_published() -> bool:
        waiting = "SELECT EXISTS (SELECT FROM outbox_events WHERE status <> 'delivered')"
        return not await connection.fetchval(waiting)

    await until(are_published, 60, every_seconds=0.2)
    await redis.flushall()
    await _let_read(redis, "+xreadgroup")
    began = time.monotonic()

    async def is_noticed() -> bool:
        return not await are_published()

    async def is_drained() -> bool:
        return int(await connection.fetchval(LEFT)) == 0

    noticed = await until(is_noticed, 30)
    await until(is_drained, 120, every_seconds=0.2)
    drained = time.monotonic() - began
    stage.stop_services()
    return {
        "flushed_events": events,
        "noticed_seconds": round(noticed, 2),
        "flush_to_consumed_seconds": round(drained, 2),
        "lost": events - await _on_streams(redis),
    }


async def _let_read(redis: Redis, right: str) -> None:
    # The client's own acl_setuser would switch the user off.
    await redis.execute_command("ACL SETUSER", "default", right)  # type: ignore[no-untyped-call]


async def _on_streams(redis: Redis) -> int:
    """Distinct events on the session streams, which keep them after they are consumed."""
    seen: set[bytes] = set()
    for number in range(SESSIONS):
        entries = cast(Entries, await redis.xrange(f"flush:flush-s{number}"))
        seen |= {fields[b"eventId"] for _, fields in entries}
    return len(seen)


async def idle(stage: Stage, *, seconds: int) -> dict[str, Any]:
    """What a worker costs while nothing happens: its own statements, as Postgres logs them."""
    url = stage.fresh_database("idle")
    connection = await connect(url)
    await connection.execute("ALTER DATABASE idle SET log_statement = 'all'")  # of the sessions from now on
    process, _ = stage.start("worker", url, UNIASSIST_STREAM_PREFIX="idle:")
    await asyncio.sleep(5)
    before, busy = stage.statements_logged(), cpu_seconds(process)
    await asyncio.sleep(seconds)
    used, after = (cpu_seconds(process) - busy) / seconds, stage.statements_logged()
    await connection.close()
    stage.stop_services()
    return {
        "seconds": seconds,
        "cpu_percent": round(used * 100, 2),
        "queries_per_second": round((after - before) / seconds, 2),
    }


def pgbench_updates(stage: Stage, *, seconds: int) -> float:
    """Transactions a second of pgbench's simple update, 8 clients: the limit of writing row by row."""
    url = stage.fresh_database("pgbench")
    program = str(binaries() / "pgbench")
    subprocess.run([program, "-i", "-q", "-s", "1", url], check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [program, "-n", "-N", "-c", "8", "-j", "2", "-T", str(seconds), url],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(line.split()[2])
