"""The gateway's ingest: rate and latency over HTTP, beside pgbench doing the same writes without any service."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import jwt

from bench.stage import Stage, percentile
from uniassist.devstack.postgres import binaries

CONNECTIONS = (1, 16, 64, 256)
PACED_RATE = 300
SESSIONS = 2000

# What one input of builtin chat writes, as one statement and one commit: session, four events with their outbox
# rows, a run. pgbench does it without HTTP, decoding, routing, locking out others or grouping.
PGBENCH = """\\set s random(1, {sessions})
\\set r random(1, 9000000000000000)
WITH s AS (
    INSERT INTO sessions (session_id, user_id, seq) VALUES ('p' || :s, 'u', 4) ON CONFLICT (session_id)
    DO UPDATE SET seq = sessions.seq + 4, last_activity_at = now() RETURNING seq
), t AS (
    INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)
    SELECT :r || '-' || g, 't', 'p' || :s, 'u', s.seq - 4 + g, 0, 'inbound', '{payload}'
    FROM s, generate_series(1, 4) g
), o AS (
    INSERT INTO outbox_events (event_id, session_id) SELECT :r || '-' || g, 'p' || :s FROM generate_series(1, 4) g
)
INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode, idempotency_key,
    status) VALUES (:r::text, 't', 'p' || :s, 'u', 'builtin_chat', 'sync', 'fallback', 't', 'completed');
"""


async def measure(stage: Stage, *, seconds: int) -> dict[str, Any]:
    """Points at several numbers of connections, each with pgbench's before it; then latency at a steady rate."""
    points = []
    for connections in CONNECTIONS:
        reference = pgbench(stage, connections, seconds)
        _, gateway = stage.start("gateway", stage.fresh_database("ingest"))
        rates, latencies = await asyncio.to_thread(load, Load(gateway, connections, seconds))
        stage.stop_services()
        points.append(
            {
                "connections": connections,
                "per_second": round(rates),
                "p50_ms": round(percentile(latencies, 0.5), 2),
                "p99_ms": round(percentile(latencies, 0.99), 2),
                "pgbench_per_second": round(reference),
                "ratio_to_pgbench": round(rates / reference, 2),
            }
        )
    _, gateway = stage.start("gateway", stage.fresh_database("ingest"))
    _, latencies = await asyncio.to_thread(load, Load(gateway, 32, seconds, PACED_RATE))
    stage.stop_services()
    paced = {
        "rate": PACED_RATE,
        "p50_ms": round(percentile(latencies, 0.5), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
    }
    return {"points": points, "paced": paced}


def pgbench(stage: Stage, clients: int, seconds: int) -> float:
    """Transactions a second of what an input writes."""
    url = stage.fresh_database("reference")
    script = stage.directory / "ingest.pgbench"
    payload = json.dumps({"input": {"text": "x" * 200}})
    script.write_text(PGBENCH.format(sessions=SESSIONS, payload=payload), "utf-8")
    command = [str(binaries() / "pgbench"), "-n", "-f", str(script), "-c", str(min(clients, 100)), "-j", "2"]
    command += ["-T", str(seconds), "-M", "prepared", url]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pgbench: {done.stderr[-500:]}")
    return float(next(line for line in done.stdout.splitlines() if line.startswith("tps")).split()[2])


@dataclass(frozen=True)
class Load:
    """What a load does: as fast as it can, or `rate` inputs a second in all.

    `token_key`: what each user's token is signed with; None: none is shown.
    """

    url: str
    connections: int
    seconds: int
    rate: int | None = None
    text: str = "hello " + "x" * 180
    token_key: str | None = None


def load(asked: Load) -> tuple[float, list[float]]:
    """From a process of its own: inputs a second answered with 200, and their latencies in ms."""
    context = multiprocessing.get_context("spawn")
    out: Any = context.Queue()
    process = context.Process(target=_load_process, args=(asked, out))
    process.start()
    answer: tuple[float, list[float]] = out.get(timeout=asked.seconds + 60)
    process.join(10)
    return answer


def _load_process(asked: Load, out: Any) -> None:
    import uvloop

    out.put(uvloop.run(_run_load(asked)))


async def _run_load(asked: Load) -> tuple[float, list[float]]:
    host, port = asked.url.removeprefix("http://").split(":")
    latencies: list[float] = []
    tokens = {} if asked.token_key is None else _tokens(asked.token_key)
    end = time.monotonic() + asked.seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        turn = 0
        while time.monotonic() < end:
            if asked.rate is not None:
                due = end - asked.seconds + (turn * asked.connections + number) / asked.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            session = f"s{random.randrange(SESSIONS)}"
            token = tokens.get(f"u-{session}")
            writer.write(request(session, f"t{number}-{turn}", asked.text, token))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            latencies.append((time.monotonic() - began) * 1000)
            turn += 1
        writer.close()

    await asyncio.gather(*(client(number) for number in range(asked.connections)))
    return len(latencies) / asked.seconds, latencies


def _tokens(key: str) -> dict[str, str]:
    """By userId."""
    expires_at = time.time() + 3600
    users = (f"u-s{number}" for number in range(SESSIONS))
    return {user: jwt.encode({"sub": user, "exp": expires_at}, key, algorithm="HS256") for user in users}


def request(session: str, trace: str, text: str = "hello", token: str | None = None) -> bytes:
    """A POST /v0/ingest as it goes over the wire."""
    body = json.dumps(
        {
            "schemaVersion": "v0",
            "traceId": trace,
            "userId": "u-" + session,
            "sessionId": session,
            "source": "app",
            "timestampMs": int(time.time() * 1000),
            "text": text,
        }
    ).encode()
    shown = b"" if token is None else b"authorization: Bearer %b\r\n" % token.encode()
    head = b"POST /v0/ingest HTTP/1.1\r\nhost: x\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (shown, len(body)) + body
