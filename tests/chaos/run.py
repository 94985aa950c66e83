"""One run: three workers behind proxies, steady load, faults from a seed; then everything heals and is counted."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checks import Checks, Findings
from tests.chaos.faults import OTHER_FAULTS, REDIS_FAULTS, WORKER_FAULTS, System, inject
from tests.chaos.load import Load
from tests.chaos.proxy import Proxy, proxied
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, Outbox, opened
from tests.processes import ServiceProcess
from tests.waiting import eventually
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store import migrate

WORKERS = 3
SESSIONS = 60
TURNS_PER_SECOND = 60.0
HEAL_SECONDS = 90.0

_LAGS = """
SELECT percentile_cont(ARRAY[0.5, 0.99, 1.0])
       WITHIN GROUP (ORDER BY extract(epoch FROM consumed_at - created_at)::float8) FROM outbox_events
"""


@dataclass(frozen=True)
class Outcome:
    """What a run found; `clean` is what has to be true."""

    seed: int
    seconds: float
    pause_seconds: float
    events: int
    acknowledged: int
    refused: int
    lost: int
    stuck: int
    attempts: int
    pending: int
    healed_after_seconds: float
    lags: tuple[float, ...]
    faults: Counter[str]
    findings: Findings

    @property
    def clean(self) -> bool:
        return self.findings.clean and self.lost == self.stuck == self.attempts == self.pending == 0


async def run(directory: Path, *, seconds: float, seed: int, pause_seconds: float) -> Outcome:
    """`pause_seconds`: the mean pause of each of the three injectors between two faults."""
    async with _system(directory) as system:
        load = Load(system.outbox, random.Random(f"{seed} load"), SESSIONS, TURNS_PER_SECOND)
        writing = asyncio.create_task(load.run())
        end = time.monotonic() + seconds
        injectors = {"workers": WORKER_FAULTS, "redis": REDIS_FAULTS, "others": OTHER_FAULTS}
        await asyncio.gather(
            *(
                inject(system, faults, random.Random(f"{seed} {name}"), until=end, pause_seconds=pause_seconds)
                for name, faults in injectors.items()
            )
        )
        load.stop()
        await writing
        return await _judge(system, load, seed=seed, seconds=seconds, pause_seconds=pause_seconds)


async def _judge(system: System, load: Load, *, seed: int, seconds: float, pause_seconds: float) -> Outcome:
    outbox = system.outbox
    began = time.monotonic()
    healed = await _all_consumed(outbox)
    healed_after_seconds = time.monotonic() - began
    await _write_once_more(outbox)
    await system.checks.look(system.lost_at)
    consumed = {
        row["event_id"]
        for row in await outbox.pool.fetch("SELECT event_id FROM outbox_events WHERE status = 'consumed'")
    }
    states = await outbox.states()
    return Outcome(
        seed=seed,
        seconds=seconds,
        pause_seconds=pause_seconds,
        events=sum(states.values()),
        acknowledged=len(load.acknowledged),
        refused=load.refused,
        lost=len(load.acknowledged - consumed) + (0 if healed else 1),
        stuck=states["processing"] + states["delivered"],
        attempts=await outbox.pool.fetchval("SELECT sum(attempts) FROM outbox_events"),
        pending=await _pending_entries(outbox),
        healed_after_seconds=healed_after_seconds,
        lags=tuple(await outbox.pool.fetchval(_LAGS)),
        faults=system.done,
        findings=system.checks.findings,
    )


async def _all_consumed(outbox: Outbox) -> bool:
    try:
        await outbox.all_consumed(deadline_seconds=HEAL_SECONDS)
    except AssertionError:
        return False
    return True


async def _write_once_more(outbox: Outbox) -> None:
    """Each session's stream still takes events, and they arrive as fast as ever."""
    for session in range(SESSIONS):
        await outbox.write_turn(f"s{session}", 1)
    await _all_consumed(outbox)


async def _pending_entries(outbox: Outbox) -> int:
    """Entries that are still somebody's after a while: read and never acknowledged."""

    async def none_left() -> bool:
        return bool((await outbox.redis.xpending(GLOBAL, GROUP))["pending"] == 0)

    try:
        await eventually(none_left, "no entry is left pending", deadline_seconds=20)
    except AssertionError:
        return int((await outbox.redis.xpending(GLOBAL, GROUP))["pending"])
    return 0


@asynccontextmanager
async def _system(directory: Path) -> AsyncIterator[System]:
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(directory / "postgres", durable=False)
        stack.callback(postgres.process.kill)
        redis = EmbeddedRedis(directory / "redis")
        stack.callback(redis.process.kill)
        for server in (postgres, redis):
            await asyncio.to_thread(server.start)
        await asyncio.to_thread(migrate.upgrade, postgres.url)
        outbox = await stack.enter_async_context(opened(postgres.url, redis.url))
        links = [
            (
                await stack.enter_async_context(proxied(postgres.port)),
                await stack.enter_async_context(proxied(redis.port)),
            )
            for _ in range(WORKERS)
        ]
        workers = [_worker(directory, n, postgres, redis, links[n]) for n in range(WORKERS)]
        for worker in workers:
            stack.push_async_callback(asyncio.to_thread, worker.stop)
        await asyncio.gather(*(asyncio.to_thread(worker.start) for worker in workers))
        await _shared(outbox)
        yield System(postgres, redis, workers, links, outbox, Checks(outbox), dt.datetime.now(dt.UTC))


def _worker(
    directory: Path, number: int, postgres: EmbeddedPostgres, redis: EmbeddedRedis, link: tuple[Proxy, Proxy]
) -> ServiceProcess:
    env = {
        "DATABASE_URL": postgres.url.replace(f":{postgres.port}/", f":{link[0].port}/"),
        "REDIS_URL": redis.url.replace(f":{redis.port}/", f":{link[1].port}/"),
        "UNIASSIST_STREAM_CONSUMER": f"worker-{number}",
        "OUTBOX_BATCH_SIZE": "50",
        "STREAM_CONSUMER_BATCH_SIZE": "50",
    }
    return ServiceProcess("worker", directory / f"worker-{number}.log", env)


async def _shared(outbox: Outbox) -> None:
    async def shared() -> bool:
        owners = await outbox.pool.fetchval(
            "SELECT count(DISTINCT owner) FROM delivery_shards WHERE lease_expires_at > now()"
        )
        return bool(owners == WORKERS)

    await eventually(shared, "every worker has its shards", deadline_seconds=30)
