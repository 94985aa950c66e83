"""Four gateways and three workers on one pair of servers: what those gateways cost that take no input."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.ingest import Load, load
from bench.sse import EVENTS_PER_INPUT, follow
from bench.stage import Stage, cpu_seconds

GATEWAYS, WORKERS = 4, 3
INPUTS_PER_SECOND = 500
FOLLOWERS = 200  # of the load's 2,000 sessions


async def measure(stage: Stage, *, seconds: int) -> dict[str, Any]:
    """Inputs go to the first gateway. The last has no followers, the one before it FOLLOWERS of them."""
    url = stage.fresh_database("many")
    # The load's connections make one user of each session, and more inputs than a person sends.
    settings = {"GATEWAY_RATE_LIMIT_PER_USER": "0"}
    gateways = [stage.start("gateway", url, **settings) for _ in range(GATEWAYS)]
    for number in range(WORKERS):
        stage.start("worker", url, UNIASSIST_STREAM_CONSUMER=f"worker-{number}")
    (first, taking), (following, followed), (idle, _) = gateways[0], gateways[-2], gateways[-1]
    seen: dict[str, int] = {}
    stop = asyncio.Event()
    reading = asyncio.create_task(follow(followed, [f"s{number}" for number in range(FOLLOWERS)], seen, stop))
    await asyncio.to_thread(load, Load(taking, 32, 2, INPUTS_PER_SECOND))
    seen.clear()
    processes = {"taking": first, "following": following, "idle": idle}
    began, before = time.monotonic(), {name: cpu_seconds(process) for name, process in processes.items()}
    rate, _ = await asyncio.to_thread(load, Load(taking, 32, seconds, INPUTS_PER_SECOND))
    taken = time.monotonic() - began
    used = {name: (cpu_seconds(process) - before[name]) / taken for name, process in processes.items()}
    stop.set()
    await reading
    stage.stop_services()
    return {
        "gateways": GATEWAYS,
        "workers": WORKERS,
        "events_per_second": round(rate * EVENTS_PER_INPUT),
        "followers": FOLLOWERS,
        "followed_per_second": round(sum(seen.values()) / taken),
        **{f"{name}_cpu_percent": round(100 * share, 2) for name, share in used.items()},
    }
