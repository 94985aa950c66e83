"""Gateways killed in turn under full load, clients that send again with their key: nothing twice, nothing missing.

UNIASSIST_KILLS=30 runs the long form; its figures go to UNIASSIST_KILLS_REPORT when that names a file.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.load import Load
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

KILLS = int(os.environ.get("UNIASSIST_KILLS", "4"))
CLIENTS, SESSIONS = 24, 12


@pytest.mark.timeout(120 + KILLS * 20)
async def test_gateways_killed_under_load_lose_and_double_nothing(
    service: Callable[..., ServiceProcess],
    database_url: str,
    redis_url: str,
    providers_file: Path,
) -> None:
    env = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "UNIASSIST_PROVIDERS_FILE": str(providers_file),
        "GATEWAY_RATE_LIMIT_PER_USER": "0",
    }
    processes = [service("gateway", **env) for _ in range(2)]
    began = time.monotonic()
    async with JsonClient() as http:
        load = Load([GatewayClient(http, p.url) for p in processes], [unique("killed") for _ in range(SESSIONS)])
        clients = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
        for kill in range(KILLS):
            enough = len(load.acknowledged) + 60
            await eventually(lambda n=enough: len(load.acknowledged) >= n, "the load goes on", 60)  # type: ignore[misc]
            victim = processes[kill % 2]
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
        load.stopping.set()
        await asyncio.gather(*clients)
    seconds = time.monotonic() - began
    connection = await asyncpg.connect(database_url)
    try:
        await check(connection, load)
    finally:
        await connection.close()
    report(load, seconds)


async def check(connection: asyncpg.Connection, load: Load) -> None:
    async def unfinished() -> int:
        return int(
            await connection.fetchval(
                "SELECT (SELECT count(*) FROM provider_calls) + "
                "(SELECT count(*) FROM provider_runs WHERE status IN ('pending', 'running'))"
            )
        )

    async def all_finished() -> bool:
        return await unfinished() == 0

    await eventually(all_finished, "every run is finished", 60)
    rows = await connection.fetch(
        "SELECT session_id, seq, kind, trace_id, event_id FROM timeline_events ORDER BY 1, 2"
    )
    for session_id in load.sessions:
        seqs = [row["seq"] for row in rows if row["session_id"] == session_id]
        assert seqs == list(range(1, len(seqs) + 1)), f"a gap in {session_id}"
    inbound = Counter(row["trace_id"] for row in rows if row["kind"] == "inbound")
    assert set(inbound.values()) == {1}, "an input is there twice"
    assert set(load.acknowledged) == set(inbound), "what was acknowledged is there, and nothing else"
    decisions = Counter(row["trace_id"] for row in rows if row["kind"] == "routing_decision")
    assert decisions == inbound
    runs = Counter(r["trace_id"] for r in await connection.fetch("SELECT trace_id FROM provider_runs"))
    assert {trace: len(ack["runs"]) for trace, ack in load.acknowledged.items()} == runs
    answers = Counter(row["trace_id"] for row in rows if row["kind"] == "interaction")
    assert set(answers) == set(inbound), "every input got its answer"
    in_outbox = {row["event_id"] for row in await connection.fetch("SELECT event_id FROM outbox_events")}
    assert in_outbox == {row["event_id"] for row in rows}


def report(load: Load, seconds: float) -> None:
    path = os.environ.get("UNIASSIST_KILLS_REPORT")
    if path:
        Path(path).write_text(
            f"""# Gateways killed under load

{KILLS} SIGKILLs, two gateways in turn, {CLIENTS} clients that send again with their Idempotency-Key,
{SESSIONS} sessions, {seconds:.0f} s: {len(load.acknowledged):,} inputs acknowledged, {load.repeated:,} sent again.
Each is on its timeline exactly once with all its events, no gap in any seq, every run finished, every event in the
outbox.

`UNIASSIST_KILLS=30 UNIASSIST_KILLS_REPORT=bench/results/gateway-kills.md python -m pytest -n 0
tests/integration/gateway/faults/test_kills.py`
""",
            "utf-8",
        )
