"""`python -m bench [--short] [--only NAME]`: run, print, keep the last results as JSON, table and plot."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from bench import (
    apart,
    cost,
    delivery,
    fronts,
    hostile,
    ingest,
    libraries,
    many,
    processes,
    report,
    routed,
    sse,
    streamed,
    wechat,
)
from bench.stage import stage

NAMES = (
    "drain",
    "latency",
    "recovery",
    "idle",
    "ingest",
    "routed",
    "cost",
    "libraries",
    "processes",
    "many",
    "sse",
    "streamed",
    "apart",
    "fronts",
    "agui",
    "wechat",
    "hostile",
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="under five minutes in all")
    parser.add_argument("--only", choices=NAMES, action="append")
    chosen = parser.parse_args()
    wanted = chosen.only or NAMES
    kept = RESULTS / "latest.json"
    results: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    with stage() as built:
        for name in wanted:
            began = time.monotonic()
            say(f"{name}…")
            results[name] = {
                **asyncio.run(run(name, built, short=chosen.short)),
                "form": ("short" if chosen.short else "long") + _priority(),
                "at": time.strftime("%Y-%m-%d %H:%M"),
                "took_seconds": round(time.monotonic() - began),
            }
            say(json.dumps(results[name], ensure_ascii=False))
    results["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    RESULTS.mkdir(exist_ok=True)
    kept.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    (RESULTS / "README.md").write_text(report.table(results), "utf-8")
    report.plot(results, RESULTS / "drain.svg")
    say(report.table(results))


def _priority() -> str:
    """At real-time priority what else the machine does is not in the figures: the table says so."""
    is_real_time = sys.platform == "linux" and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    return ", real-time priority" if is_real_time else ""


async def run(name: str, built: Any, *, short: bool) -> dict[str, Any]:
    if name == "drain":
        return await delivery.drain(
            built, events=50_000 if short else 100_000, peer_jobs=30_000 if short else 100_000, rounds=5
        )
    if name == "latency":
        return await delivery.latency(built, idle_events=100, steady_seconds=10 if short else 60)
    if name == "recovery":
        return await delivery.recovery(built, events=100_000)
    if name == "idle":
        return await delivery.idle(built, seconds=10 if short else 60)
    if name == "many":
        return await many.measure(built, seconds=8 if short else 30)
    if name == "cost":
        return await cost.measure(built, seconds=5 if short else 15, rounds=3)
    if name == "libraries":
        return await libraries.measure(built, seconds=2 if short else 5, rounds=1 if short else 3)
    if name == "processes":
        return await processes.measure(built, seconds=5 if short else 15, rounds=3)
    if name == "routed":
        return await routed.measure(built, seconds=4 if short else 15, rounds=1 if short else 20)
    if name == "sse":
        return await sse.measure(
            built, connections=2_000 if short else 10_000, seconds=8 if short else 20, inputs_per_second=250
        )
    if name == "hostile":
        return await hostile.measure(built, rounds=2 if short else 12)
    if name == "streamed":
        return await streamed.measure(
            built, readers=2_000 if short else 10_000, messages=50 if short else 200, seconds=8 if short else 20
        )
    if name == "apart":
        return await apart.measure(
            built, readers=200 if short else 2_000, messages=50 if short else 200, seconds=8 if short else 20
        )
    if name == "fronts":
        return await fronts.measure(built, seconds=5 if short else 10, rounds=2 if short else 4)
    if name == "agui":
        return await fronts.hold(built, readers=5_000, events=2 if short else 6)
    if name == "wechat":
        return await wechat.measure(built, seconds=5 if short else 30)
    return await ingest.measure(built, seconds=5 if short else 20)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
