"""What it costs that data goes: sessions and outbox rows by slices, VACUUM after them, and dropped partitions."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable

import asyncpg
import psutil

from bench.filling import DAYS
from bench.grown_work import backends_cpu_ms, wal
from bench.stage import Stage
from uniassist.store import delivery, retention
from uniassist.store.server.pool import Pool

Figures = dict[str, float]
_CALLS = 40  # of slices where nothing goes
_PRUNED_AT_ONCE = 5000


class Measured:
    """Around what is done to one database."""

    def __init__(self, stage: Stage, name: str, watcher: asyncpg.Connection) -> None:
        self._server = psutil.Process(stage.postgres.process.pid)
        self._name = name
        self.watcher = watcher

    async def of(self, work: Callable[[], Awaitable[int]]) -> Figures:
        """`work` answers how many it made go. After a checkpoint, as most of what goes is written after one."""
        await self.watcher.execute("CHECKPOINT")
        before, cpu, began = await wal(self.watcher), self._cpu_ms(), time.monotonic()
        gone = await work()
        taken, used, after = time.monotonic() - began, self._cpu_ms() - cpu, await wal(self.watcher)
        return {
            "gone": gone,
            "seconds": taken,
            "cpu_seconds": used / 1000,
            "wal_mb": (after.bytes - before.bytes) / 2**20,
            "full_pages": after.full_pages - before.full_pages,
        }

    async def vacuum(self, table: str) -> Figures:
        async def work() -> int:
            await self.watcher.execute(f"VACUUM {table}", timeout=3600)
            return 0

        return await self.of(work)

    def _cpu_ms(self) -> float:
        return backends_cpu_ms(self._server, self._name)


async def by_slices(stage: Stage, name: str, *, sessions: int, outbox_days: int) -> dict[str, Figures]:
    """By the worker's own functions and its own pool.

    `sessions`: at most so many of the oldest day's; `outbox_days`: younger rows of the outbox stay.
    """
    url = stage.postgres.url_for(name)
    watcher = await asyncpg.connect(url)
    measured = Measured(stage, name, watcher)
    found: dict[str, Figures] = {}
    await watcher.execute("VACUUM timeline_events", timeout=3600)
    await watcher.execute("VACUUM outbox_events", timeout=3600)
    async with await delivery.create_pool(url) as pool:
        found["looked at, none to go (slices)"] = await measured.of(lambda: _walk(pool))
        found["sessions"] = await measured.of(lambda: _forget(pool, sessions))
        found["vacuum timeline_events"] = await measured.vacuum("timeline_events")
        found["outbox rows"] = await measured.of(lambda: _prune(pool, outbox_days))
        found["vacuum outbox_events"] = await measured.vacuum("outbox_events")
    await watcher.close()
    return found


async def by_dropping(stage: Stage, name: str) -> dict[str, Figures]:
    """The oldest part of a partitioned prototype."""
    watcher = await asyncpg.connect(stage.postgres.url_for(name))
    measured = Measured(stage, name, watcher)
    found = {}
    for table in ("outbox_0", "timeline_0"):
        if await watcher.fetchval("SELECT to_regclass($1)", table) is None:
            continue
        rows = await watcher.fetchval(f"SELECT count(*) FROM {table}")

        async def drop(table: str = table, rows: int = rows) -> int:
            await watcher.execute(f"DROP TABLE {table}")
            return rows

        found[f"DROP TABLE {table}"] = await measured.of(drop)
    await watcher.close()
    return found


async def _walk(pool: Pool) -> int:
    page = 0
    for _ in range(_CALLS):
        await retention.trim_timelines(pool, page=page, days=10_000)
        forgotten = await retention.forget_sessions(pool, page=page, days=10_000)
        page = forgotten.next_page or 0
    return _CALLS


async def _forget(pool: Pool, most: int) -> int:
    gone, page = 0, 0
    while gone < most:
        forgotten = await retention.forget_sessions(pool, page=page, days=DAYS - 1)
        gone += forgotten.deleted
        if forgotten.next_page is None:
            break
        page = forgotten.next_page
    return gone


async def _prune(pool: Pool, days: int) -> int:
    gone, after = 0, 0
    older = dt.timedelta(days=days)
    while True:
        deleted, following = await delivery.prune(pool, after_id=after, older_than=older, limit=_PRUNED_AT_ONCE)
        gone += deleted
        if following is None:
            return gone
        after = following
        await asyncio.sleep(0)
