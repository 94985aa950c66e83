"""What one input costs: CPU of each process, beside an earlier revision of ours and pgbench in the same minutes.

CPU is moved less by what else the machine does than a rate is. Every round measures all arms, in turn, on databases
of their own; a figure is the median of its rounds.
"""

from __future__ import annotations

import asyncio
import io
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import psutil

from bench.ingest import Load, load, pgbench
from bench.stage import Stage, connect, cpu_ms, until

BEFORE = "c1a4def"
CONNECTIONS = 64
TEXTS = {"chat": "hello " + "x" * 180, "routed": "帮我安排一个计划"}
UNFINISHED = "SELECT count(*) FROM provider_runs WHERE status IN ('pending', 'running')"
UNCONSUMED = "SELECT count(*) FROM outbox_events WHERE status <> 'consumed'"


async def measure(stage: Stage, *, seconds: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU for an input, by process."""
    sources: dict[str, Path | None] = {"now": None}
    if (before := _checked_out(BEFORE, stage.directory)) is not None:
        sources = {BEFORE: before, **sources}
    seen: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for kind in TEXTS:
            for revision, source in sources.items():
                figures = await arm(stage, kind, source, seconds)
                seen.setdefault(f"{kind} {revision}", []).append(figures)
        seen.setdefault("pgbench", []).append(_pgbench(stage, seconds))
    found = {
        arm: {name: round(statistics.median(each[name] for each in all_rounds), 3) for name in all_rounds[0]}
        for arm, all_rounds in seen.items()
    }
    ratios = {
        kind: round(found[f"{kind} now"]["all"] / found[f"{kind} {BEFORE}"]["all"], 2)
        for kind in TEXTS
        if before is not None
    }
    return {"rounds": rounds, "cpu_ms": found, "ratio_to_before": ratios, "before": BEFORE}


def _checked_out(revision: str, directory: Path) -> Path | None:
    """The package's source as it was. None: this checkout doesn't have the revision."""
    archived = subprocess.run(
        ["git", "archive", revision, "src"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        timeout=60,
        check=False,
    )
    if archived.returncode != 0:
        return None
    target = directory / revision
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as tar:
        tar.extractall(target, filter="data")
    return target / "src"


async def arm(
    stage: Stage,
    kind: str,
    source: Path | None,
    seconds: int,
    *,
    connections: int = CONNECTIONS,
    rate: int | None = None,
    **settings: str,
) -> dict[str, float]:
    """`source`: the package's; None: this checkout's. `rate`: inputs a second; None: as many as there can be.
    `settings`: the gateway's. `busiest`: of its processes, of their CPU.
    """
    environment = {"PYTHONPATH": str(source)} if source is not None else {}
    url = stage.fresh_database("cost", migrated=False)
    migration = [sys.executable, "-m", "uniassist.cli.main", "db", "migrate"]
    stage.flush()
    subprocess.run(
        migration,
        env=stage.inherited | environment | {"DATABASE_URL": url},
        check=True,
        capture_output=True,
        timeout=60,
    )
    pids: dict[str, int | None] = {}
    if kind == "routed":
        plan, plan_url = stage.start("provider-plan", url, **environment)
        environment |= {"UNIASSIST_PLAN_PROVIDER_BASE_URL": plan_url}
        pids["plan"] = plan.pid
    gateway, gateway_url = stage.start("gateway", url, **environment, **settings)
    worker, _ = stage.start("worker", url, **environment)
    pids |= {"gateway": gateway.pid, "worker": worker.pid}
    pids |= {"postgres": stage.postgres.process.pid, "redis": stage.redis.process.pid}
    connection = await connect(url)

    async def is_done() -> bool:
        return not await connection.fetchval(UNFINISHED) and not await connection.fetchval(UNCONSUMED)

    await asyncio.to_thread(load, Load(gateway_url, CONNECTIONS, 1, text=TEXTS[kind]))
    await until(is_done, 120)
    before = {name: cpu_ms(pid) for name, pid in pids.items()}
    of_each = _cpu_of_each(gateway.pid)
    reached, latencies = await asyncio.to_thread(
        load, Load(gateway_url, connections, seconds, rate, text=TEXTS[kind])
    )
    await until(is_done, 120, every_seconds=0.25)
    figures = {name: (cpu_ms(pid) - before[name]) / len(latencies) for name, pid in pids.items()}
    used = [after - of_each.get(pid, 0.0) for pid, after in _cpu_of_each(gateway.pid).items()]
    await connection.close()
    stage.stop_services()
    return figures | {"all": sum(figures.values()), "per_second": reached, "busiest": max(used) / sum(used)}


def _pgbench(stage: Stage, seconds: int) -> dict[str, float]:
    """The same writes without any service: what Postgres and pgbench itself use for them."""
    began = cpu_ms(stage.postgres.process.pid)
    rate = pgbench(stage, CONNECTIONS, seconds)
    postgres = (cpu_ms(stage.postgres.process.pid) - began) / (rate * seconds)
    return {"postgres": postgres, "all": postgres, "per_second": rate}


def _cpu_of_each(pid: int | None) -> dict[int, float]:
    """Of a process and its children, by their ids."""
    process = psutil.Process(pid)
    return {each.pid: sum(each.cpu_times()[:2]) for each in (process, *process.children())}
