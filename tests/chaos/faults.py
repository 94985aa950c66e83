"""The faults, each as it is done and undone. Three injectors take turns of their own: workers, Redis, the rest."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from tests.chaos.checks import Checks
from tests.chaos.load import WRITE_FAILURES
from tests.chaos.proxy import Proxy
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, Outbox
from tests.processes import ServiceProcess
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis


@dataclass
class System:
    """What can be broken: `links` are the proxies of each worker, to Postgres and to Redis."""

    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    workers: list[ServiceProcess]
    links: list[tuple[Proxy, Proxy]]
    outbox: Outbox
    checks: Checks
    lost_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    done: Counter[str] = field(default_factory=Counter)


# Nobody reads or writes any more until the kill, so that what is unread now is what is lost unread.
FREEZE = ("CLIENT", "PAUSE", "60000", "ALL")

Fault = Callable[[System, random.Random], Awaitable[None]]


async def _between(chance: random.Random, least_seconds: float, most_seconds: float) -> None:
    """How long a fault lasts is part of the fault."""
    await asyncio.sleep(chance.uniform(least_seconds, most_seconds))


async def worker_killed(system: System, chance: random.Random) -> None:
    worker = chance.choice(system.workers)
    worker.kill()
    await _between(chance, 0, 3)
    await asyncio.to_thread(worker.start)


async def worker_terminated(system: System, chance: random.Random) -> None:
    worker = chance.choice(system.workers)
    await asyncio.to_thread(worker.stop)
    await asyncio.to_thread(worker.start)


async def worker_stopped_and_continued(system: System, chance: random.Random) -> None:
    """Past its lease or not: SIGSTOP, then SIGCONT."""
    worker = chance.choice(system.workers)
    worker.process.pause()
    await _between(chance, 0.5, 8)
    worker.process.resume()


async def link_stalled(system: System, chance: random.Random) -> None:
    link = chance.choice(chance.choice(system.links))
    link.stall()
    await _between(chance, 0.5, 8)
    link.resume()


async def link_cut(system: System, chance: random.Random) -> None:
    chance.choice(chance.choice(system.links)).cut()


async def postgres_killed(system: System, chance: random.Random) -> None:
    system.postgres.process.kill()
    await _between(chance, 0, 2)
    await asyncio.to_thread(system.postgres.start)


async def postgres_restarted(system: System, chance: random.Random) -> None:
    await asyncio.to_thread(system.postgres.stop)
    await _between(chance, 0, 2)
    await asyncio.to_thread(system.postgres.start)


async def redis_stalled(system: System, chance: random.Random) -> None:
    system.redis.process.pause()
    await _between(chance, 0.5, 7)
    system.redis.process.resume()


async def group_destroyed(system: System, _: random.Random) -> None:
    await system.checks.losing_group("XGROUP", "DESTROY", GLOBAL, GROUP)


async def global_stream_deleted(system: System, _: random.Random) -> None:
    await system.checks.losing_group("DEL", GLOBAL)


async def flushed(system: System, _: random.Random) -> None:
    await system.checks.before_loss(system.lost_at, "FLUSHALL")
    system.lost_at = dt.datetime.now(dt.UTC)


async def flushed_with_much_unread(system: System, chance: random.Random) -> None:
    """The consumers are refused for a while, so that the loss takes what nobody was given."""
    await _allow_reading(system, "-xreadgroup")
    try:
        await _between(chance, 0.3, 1.5)
        await flushed(system, chance)
    finally:
        await _allow_reading(system, "+xreadgroup")


async def redis_killed_with_much_unread(system: System, chance: random.Random) -> None:
    await _allow_reading(system, "-xreadgroup")
    await _between(chance, 0.3, 1.5)
    await redis_killed_with_its_data(system, chance)  # and starts with the usual rights


async def _allow_reading(system: System, right: str) -> None:
    # The client's own acl_setuser would switch the user off.
    await system.outbox.redis.execute_command("ACL SETUSER", "default", right)  # type: ignore[no-untyped-call]


async def redis_killed_with_its_data(system: System, chance: random.Random) -> None:
    await system.checks.before_loss(system.lost_at, *FREEZE)
    system.redis.process.kill()
    (system.redis.directory / "dump.rdb").unlink(missing_ok=True)
    await _between(chance, 0, 3)
    await asyncio.to_thread(system.redis.start)
    system.lost_at = dt.datetime.now(dt.UTC)


async def redis_killed_and_back_with_an_old_copy(system: System, chance: random.Random) -> None:
    """As a failover to a replica that lagged: the sentinel is there, the last seconds are not."""
    await system.outbox.redis.save()
    await _between(chance, 0, 1.5)
    await system.checks.before_loss(system.lost_at, *FREEZE)
    system.redis.process.kill()
    await _between(chance, 0, 2)
    await asyncio.to_thread(system.redis.start)
    system.lost_at = dt.datetime.now(dt.UTC)


WORKER_FAULTS: tuple[Fault, ...] = (worker_killed, worker_killed, worker_stopped_and_continued, worker_terminated)
REDIS_FAULTS: tuple[Fault, ...] = (
    redis_stalled,
    group_destroyed,
    global_stream_deleted,
    flushed,
    flushed_with_much_unread,
    redis_killed_with_its_data,
    redis_killed_with_much_unread,
    redis_killed_and_back_with_an_old_copy,
)
OTHER_FAULTS: tuple[Fault, ...] = (link_stalled, link_cut, postgres_killed, postgres_restarted)


async def inject(
    system: System, faults: tuple[Fault, ...], chance: random.Random, *, until: float, pause_seconds: float
) -> None:
    """One fault after the other, in shuffled rounds so that each kind has its turn, with pauses between."""
    while True:
        for fault in chance.sample(faults, len(faults)):
            await asyncio.sleep(chance.uniform(0.3, 1.7) * pause_seconds)
            if time.monotonic() >= until:
                return
            try:
                await fault(system, chance)
            except (RedisError, *WRITE_FAILURES):
                # Another fault was faster: the server that this one needed is away.
                system.done[f"{fault.__name__} (prevented)"] += 1
                continue
            system.done[fault.__name__] += 1
