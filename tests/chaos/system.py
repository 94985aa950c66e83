"""What is broken: two servers, three workers behind proxies of their own, and where each of them is now."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.chaos.checks import Checks
from tests.chaos.load import WRITE_FAILURES
from tests.chaos.proxy import Proxy, proxied
from tests.chaos.sightings import watched
from tests.integration.delivery.outbox_rows import Outbox, opened
from tests.processes import ServiceProcess
from tests.waiting import eventually
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store import migrate

WORKERS = 3
_CONFIRMED_SINCE = "SELECT EXISTS (SELECT FROM outbox_events WHERE consumed_at > $1)"


@dataclass
class System:
    """`postgres` and `redis`: the primaries of now. `links`: each worker's proxies, to Postgres and to Redis."""

    directory: Path
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    workers: list[ServiceProcess]
    links: list[tuple[Proxy, Proxy]]
    outbox: Outbox
    checks: Checks
    lost_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    done: Counter[str] = field(default_factory=Counter)
    at_end: Callable[[Callable[[], None]], object] = field(default=lambda _kill: None)
    recoveries: dict[str, list[float | None]] = field(default_factory=dict)
    left_clients: list[Redis] = field(default_factory=list)
    _generation: int = 1

    def next_directory(self, server: str) -> Path:
        """Where the next standby or replica of `server` keeps its data."""
        self._generation += 1
        return self.directory / f"{server}-{self._generation}"

    async def move_to_postgres(self, promoted: EmbeddedPostgres) -> None:
        """The name points to another server: connections that are open stay where they are, new ones go there."""
        self.postgres = promoted
        for link, _ in self.links:
            link.lead_to(promoted.port)
        left, self.outbox.pool = self.outbox.pool, await _pool(promoted.url)
        left.terminate()

    async def move_to_redis(self, promoted: EmbeddedRedis) -> None:
        """As `move_to_postgres`."""
        self.redis = promoted
        for _, link in self.links:
            link.lead_to(promoted.port)
        left, self.outbox.redis = self.outbox.redis, redis_client(promoted.url)
        self.left_clients.append(left)  # who is in the middle of asking it may connect once more after this
        await left.aclose()

    async def go_on_demoted(self, name: str, seconds: float) -> None:
        """Wait `seconds`; note when the first event was confirmed by way of the new server, if any was."""
        began, since = time.monotonic(), dt.datetime.now(dt.UTC)
        first: float | None = None
        while time.monotonic() - began < seconds:
            with contextlib.suppress(*WRITE_FAILURES):
                if first is None and await self.outbox.pool.fetchval(_CONFIRMED_SINCE, since):
                    first = time.monotonic() - began
            await asyncio.sleep(0.1)
        self.recoveries.setdefault(name, []).append(first)


def new_redis(directory: Path) -> EmbeddedRedis:
    """One that takes no value of more than a mebibyte, which poison.py has one of."""
    return EmbeddedRedis(directory, options=("--proto-max-bulk-len", "1mb"))


def redis_client(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=10.0, retry=Retry(NoBackoff(), 3))


async def _close(outbox: Outbox, left_clients: Sequence[Redis]) -> None:
    """What it has by now: a move to another server has put other connections in the place of the first."""
    for client in (*left_clients, outbox.redis):
        await client.aclose()
    outbox.pool.terminate()


async def _pool(url: str) -> asyncpg.Pool:
    return await asyncpg.create_pool(url, min_size=0, max_size=8, command_timeout=60)


@asynccontextmanager
async def started(directory: Path, *, source: Path | None = None) -> AsyncIterator[System]:
    """Everything runs and every worker has its shards. `source`: a tree that the workers run instead of ours."""
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(directory / "postgres", durable=False)
        stack.callback(postgres.process.kill)
        redis = new_redis(directory / "redis")
        stack.callback(redis.process.kill)
        for server in (postgres, redis):
            await asyncio.to_thread(server.start)
        await asyncio.to_thread(migrate.upgrade, postgres.url)
        outbox = await stack.enter_async_context(opened(postgres.url, redis.url))
        left_clients: list[Redis] = []
        stack.push_async_callback(_close, outbox, left_clients)
        links = [
            (
                await stack.enter_async_context(proxied(postgres.port)),
                await stack.enter_async_context(proxied(redis.port)),
            )
            for _ in range(WORKERS)
        ]
        workers = [_worker(directory, n, postgres, redis, links[n], source) for n in range(WORKERS)]
        for worker in workers:
            stack.push_async_callback(asyncio.to_thread, worker.stop)
        await asyncio.gather(*(asyncio.to_thread(worker.start) for worker in workers))
        await _shared(outbox)
        sightings = await stack.enter_async_context(watched(outbox))
        checks = Checks(outbox, sightings)
        await checks.begin()
        yield System(
            directory,
            postgres,
            redis,
            workers,
            links,
            outbox,
            checks,
            at_end=stack.callback,
            left_clients=left_clients,
        )


def _worker(
    directory: Path,
    number: int,
    postgres: EmbeddedPostgres,
    redis: EmbeddedRedis,
    link: tuple[Proxy, Proxy],
    source: Path | None,
) -> ServiceProcess:
    env = {
        "DATABASE_URL": postgres.url.replace(f":{postgres.port}/", f":{link[0].port}/"),
        "REDIS_URL": redis.url.replace(f":{redis.port}/", f":{link[1].port}/"),
        "UNIASSIST_STREAM_CONSUMER": f"worker-{number}",
        "OUTBOX_BATCH_SIZE": "50",
        "STREAM_CONSUMER_BATCH_SIZE": "50",
        "OUTBOX_BACKOFF_BASE_MS": "50",
        "OUTBOX_BACKOFF_MAX_MS": "500",
    }
    if source is not None:
        env["PYTHONPATH"] = str(source)
    return ServiceProcess("worker", directory / f"worker-{number}.log", env)


async def _shared(outbox: Outbox) -> None:
    async def shared() -> bool:
        owners = await outbox.pool.fetchval(
            "SELECT count(DISTINCT owner) FROM delivery_shards WHERE lease_expires_at > now()"
        )
        return bool(owners == WORKERS)

    await eventually(shared, "every worker has its shards", deadline_seconds=60)
