"""The peers: queues on Postgres that people know, with no-op jobs, at the settings that suit them best."""

from __future__ import annotations

import time

import asyncpg

PAYLOAD = b"x" * 512


async def pgqueuer(url: str, jobs: int, *, batch_size: int) -> float:
    """No-op jobs a second that PgQueuer drains, one worker."""
    from pgqueuer import PgQueuer
    from pgqueuer.db import AsyncpgPoolDriver
    from pgqueuer.models import Job
    from pgqueuer.queries import Queries
    from pgqueuer.types import QueueExecutionMode

    async with asyncpg.create_pool(url, min_size=4, max_size=8) as pool:
        driver = AsyncpgPoolDriver(pool)
        queries = Queries(driver)
        await queries.install()
        for at in range(0, jobs, 5000):
            count = min(5000, jobs - at)
            await queries.enqueue(["noop"] * count, [PAYLOAD] * count, [0] * count)
        await pool.execute("VACUUM ANALYZE")
        worker = PgQueuer(driver)
        done = 0

        @worker.entrypoint("noop")  # type: ignore[untyped-decorator]
        async def noop(_job: Job) -> None:
            nonlocal done
            done += 1

        began = time.monotonic()
        await worker.run(batch_size=batch_size, mode=QueueExecutionMode.drain)
        seconds = time.monotonic() - began
    if done != jobs:
        raise RuntimeError(f"PgQueuer ran {done} of {jobs} jobs")
    return jobs / seconds


async def procrastinate(url: str, jobs: int, *, concurrency: int = 50) -> float:
    """No-op jobs a second that procrastinate drains, one worker."""
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=url, max_size=10))
    done = 0

    @app.task  # type: ignore[untyped-decorator]
    async def noop(payload: str) -> None:
        nonlocal done
        done += 1

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await noop.batch_defer_async(*[{"payload": "x" * 512} for _ in range(jobs)])
        began = time.monotonic()
        await app.run_worker_async(wait=False, concurrency=concurrency, install_signal_handlers=False)
        seconds = time.monotonic() - began
    if done != jobs:
        raise RuntimeError(f"procrastinate ran {done} of {jobs} jobs")
    return jobs / seconds
