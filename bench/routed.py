"""Inputs that go to providers: end to end, beside a provider that hangs, and in a store that grew."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.ingest import Load, load
from bench.stage import Stage, connect, percentile, until

CONNECTIONS = 64
STORED_EVENTS = (0, 1_000, 100_000, 1_000_000)
CALLED_RATE = 20
SLICE_SECONDS = 4
UNFINISHED = "SELECT count(*) FROM provider_runs WHERE status IN ('pending', 'running')"


async def measure(stage: Stage, *, seconds: int, rounds: int) -> dict[str, Any]:
    return {
        **await _end_to_end(stage, seconds),
        **await _beside_a_hung_provider(stage, rounds),
        **await _grown(stage, seconds, 1 if rounds == 1 else 2),
    }


async def _end_to_end(stage: Stage, seconds: int) -> dict[str, Any]:
    """Accepted, called, answered and committed: until the last run of the load is finished."""
    _, plan = stage.start("provider-plan", "")
    url = stage.fresh_database("routed")
    _, gateway = stage.start("gateway", url, UNIASSIST_PLAN_PROVIDER_BASE_URL=plan)
    connection = await connect(url)
    began = time.monotonic()
    rate, latencies = await asyncio.to_thread(load, Load(gateway, CONNECTIONS, seconds, text="帮我安排一个计划"))

    async def is_finished() -> bool:
        return int(await connection.fetchval(UNFINISHED)) == 0

    await until(is_finished, 120)
    taken = time.monotonic() - began
    completed = int(await connection.fetchval("SELECT count(*) FROM provider_runs WHERE status = 'completed'"))
    await connection.close()
    stage.stop_services()
    return {
        "routed_per_second": round(completed / taken),
        "routed_accepted_per_second": round(rate),
        "routed_p99_ms": round(percentile(latencies, 0.99), 1),
        "routed_failed": len(latencies) - completed,
    }


async def _beside_a_hung_provider(stage: Stage, rounds: int) -> dict[str, Any]:
    """Others' p99 at 300/s: alone, beside a provider that answers, beside one that takes every call and never does.

    The two providers get the same inputs, so the difference between them is the hanging and not the load. Each arm
    has a gateway of its own; they take turns of SLICE_SECONDS, so that what else the machine does meets them all.
    """
    # a bare protocol hears everything and says nothing
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    hangs = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    _, plan = stage.start("provider-plan", "")
    gateways = {}
    for arm in ("alone", "answers", "hangs"):
        url = stage.fresh_database(f"hung_{arm}")
        provider = hangs if arm == "hangs" else plan
        _, gateways[arm] = stage.start("gateway", url, UNIASSIST_PLAN_PROVIDER_BASE_URL=provider)
    seen: dict[str, list[float]] = {arm: [] for arm in gateways}
    slices: dict[str, list[float]] = {arm: [] for arm in gateways}
    for number in range(rounds + 1):
        for arm, gateway in gateways.items():
            latencies = await _others(gateway, is_called=arm != "alone" and number > 0)
            if number > 0:  # the first only warms up; in the next two the hung provider's breaker is still closed
                seen[arm] += latencies
                slices[arm].append(percentile(latencies, 0.99))
    stage.stop_services()
    server.close()
    p99 = {arm: percentile(latencies, 0.99) for arm, latencies in seen.items()}
    median = {arm: percentile(each, 0.5) for arm, each in slices.items()}
    return {
        "hung_slices": {arm: [round(each, 2) for each in slices[arm]] for arm in slices},
        "hung_slice_seconds": SLICE_SECONDS,
        "alone_p99_ms": round(p99["alone"], 2),
        "beside_answering_p99_ms": round(p99["answers"], 2),
        "beside_hung_p99_ms": round(p99["hangs"], 2),
        "hung_to_answering": round(p99["hangs"] / p99["answers"], 2),
        "hung_to_answering_median_slice": round(median["hangs"] / median["answers"], 2),
    }


async def _others(gateway: str, *, is_called: bool) -> list[float]:
    loads = [Load(gateway, 32, SLICE_SECONDS, rate=300)]
    loads += [Load(gateway, 4, SLICE_SECONDS, rate=CALLED_RATE, text="计划")] if is_called else []
    done = await asyncio.gather(*(asyncio.to_thread(load, each) for each in loads))
    return done[0][1]


async def _grown(stage: Stage, seconds: int, rounds: int) -> dict[str, Any]:
    """The same load on stores that hold ever more events, in turn."""
    urls = {events: stage.fresh_database(f"grown_{events}") for events in STORED_EVENTS}
    for events, url in urls.items():
        connection = await connect(url)
        await _fill(connection, events)
        await connection.close()
    rates: dict[int, list[float]] = {events: [] for events in urls}
    for _ in range(rounds):
        for events, url in urls.items():
            _, gateway = stage.start("gateway", url)
            rate, _ = await asyncio.to_thread(load, Load(gateway, CONNECTIONS, seconds))
            rates[events].append(rate)
            stage.stop_services()
    best = {events: max(each) for events, each in rates.items()}
    return {
        "grown_per_second": {str(events): round(rate) for events, rate in best.items()},
        "grown_to_empty": {str(events): round(rate / best[0], 2) for events, rate in best.items()},
    }


async def _fill(connection: Any, events: int) -> None:
    await connection.execute(
        """INSERT INTO sessions (session_id, user_id, seq)
        SELECT 'old' || g, 'u-old' || g, 100 FROM generate_series(1, $1::int / 100) g""",
        events,
    )
    await connection.execute(
        """INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)
        SELECT md5(g::text), 't', 'old' || (1 + g % ($1::int / 100)), 'u', 1 + g / ($1::int / 100), 0, 'inbound',
               jsonb_build_object('text', repeat('x', 200)) FROM generate_series(0, $1::int - 1) g""",
        events,
    )
    await connection.execute(
        """INSERT INTO outbox_events (event_id, session_id, status, consumed_at)
        SELECT event_id, session_id, 'consumed', now() FROM timeline_events"""
    )
    await connection.execute("VACUUM ANALYZE")
