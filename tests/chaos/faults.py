"""What all faults share, those of workers, their links and the clock, and the injectors that take turns."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Awaitable, Callable

import psutil
from redis.exceptions import RedisError

from tests.chaos.load import WRITE_FAILURES
from tests.chaos.system import System

Fault = Callable[[System, random.Random], Awaitable[None]]
CLOCK_STEP = dt.timedelta(minutes=2)

# All that the engine compares with the database's clock.
_STEP_CLOCK = (
    "UPDATE delivery_shards SET lease_expires_at = lease_expires_at + $1 WHERE lease_expires_at > 'epoch'",
    "UPDATE delivery_workers SET expires_at = expires_at + $1, beat_at = beat_at + $1",
    "UPDATE outbox_events SET locked_at = locked_at + $1, lease_expires_at = lease_expires_at + $1, "
    "updated_at = updated_at + $1 WHERE status = 'processing'",
    "UPDATE outbox_events SET delivered_at = delivered_at + $1 WHERE status = 'delivered'",
    "UPDATE outbox_events SET next_retry_at = next_retry_at + $1, updated_at = updated_at + $1 "
    "WHERE status = 'failed'",
)


async def for_a_while(chance: random.Random, least_seconds: float, most_seconds: float) -> None:
    """How long a fault lasts is part of the fault."""
    await asyncio.sleep(chance.uniform(least_seconds, most_seconds))


async def worker_killed(system: System, chance: random.Random) -> None:
    worker = chance.choice(system.workers)
    worker.kill()
    await for_a_while(chance, 0, 3)
    await asyncio.to_thread(worker.start)


async def worker_terminated(system: System, chance: random.Random) -> None:
    worker = chance.choice(system.workers)
    await asyncio.to_thread(worker.stop)
    await asyncio.to_thread(worker.start)


async def worker_stopped_and_continued(system: System, chance: random.Random) -> None:
    """Past its lease or not: SIGSTOP, then SIGCONT."""
    worker = chance.choice(system.workers)
    worker.process.pause()
    await for_a_while(chance, 0.5, 8)
    worker.process.resume()


async def clock_stepped_forward(system: System, _: random.Random) -> None:
    """Every lease is over at once, also those whose owners work on."""
    await _step_clock(system, -CLOCK_STEP)


async def clock_stepped_back_as_a_worker_died(system: System, chance: random.Random) -> None:
    """What the dead worker held is leased, by the clock, for two minutes more."""
    worker = chance.choice(system.workers)
    worker.kill()
    try:
        await _step_clock(system, CLOCK_STEP)
    finally:
        await for_a_while(chance, 0, 3)
        await asyncio.to_thread(worker.start)


async def _step_clock(system: System, times_by: dt.timedelta) -> None:
    """A step of the database's clock as the engine meets it: the times it wrote move against the clock.

    The system's clock stays: all servers and tests of this machine share it.
    """
    async with system.outbox.pool.acquire() as connection, connection.transaction():
        for statement in _STEP_CLOCK:
            await connection.execute(statement, times_by)


async def link_stalled(system: System, chance: random.Random) -> None:
    link = chance.choice(chance.choice(system.links))
    link.stall()
    await for_a_while(chance, 0.5, 8)
    link.resume()


async def link_cut(system: System, chance: random.Random) -> None:
    chance.choice(chance.choice(system.links)).cut()


WORKER_FAULTS: tuple[Fault, ...] = (
    worker_killed,
    worker_killed,
    worker_stopped_and_continued,
    worker_terminated,
    clock_stepped_forward,
    clock_stepped_back_as_a_worker_died,
)
LINK_FAULTS: tuple[Fault, ...] = (link_stalled, link_cut)


async def inject(
    system: System,
    faults: tuple[Fault, ...],
    chance: random.Random,
    *,
    over: Callable[[], bool],
    pause_seconds: float,
) -> None:
    """One fault after the other, in shuffled rounds so that each kind has its turn, with pauses between."""
    while True:
        for fault in chance.sample(faults, len(faults)):
            await asyncio.sleep(chance.uniform(0.3, 1.7) * pause_seconds)
            if over():
                return
            try:
                await fault(system, chance)
            except (RedisError, psutil.NoSuchProcess, *WRITE_FAILURES):
                # Another fault was faster: the server that this one needed is away.
                system.done[f"{fault.__name__} (prevented)"] += 1
                continue
            system.done[fault.__name__] += 1
