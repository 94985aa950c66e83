"""A worker as a real process, and the outbox that it works on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest
from tests.integration.delivery.outbox_rows import Outbox, opened
from tests.processes import ServiceProcess

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis


class StartWorker(Protocol):
    def __call__(self, **env: str) -> ServiceProcess: ...


@pytest.fixture
async def outbox(database_url: str, redis_url: str) -> AsyncIterator[Outbox]:
    async with opened(database_url, redis_url) as outbox:
        yield outbox


@pytest.fixture
def start_worker(
    service: Callable[..., ServiceProcess], database_url: str, redis_url: str
) -> Callable[..., ServiceProcess]:
    """`start_worker(OUTBOX_…="…")` on the test's database and Redis; `DATABASE_URL` and `REDIS_URL` may differ."""

    def start(**env: str) -> ServiceProcess:
        return service("worker", **{"DATABASE_URL": database_url, "REDIS_URL": redis_url, **env})

    return start


@pytest.fixture
async def own_outbox(own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis) -> AsyncIterator[Outbox]:
    """On servers that the test may stop."""
    async with opened(own_postgres.url, own_redis.url) as outbox:
        yield outbox


@pytest.fixture
def start_own_worker(
    service: Callable[..., ServiceProcess], own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> StartWorker:
    """A worker on `own_postgres` and `own_redis`."""

    def start(**env: str) -> ServiceProcess:
        return service("worker", **{"DATABASE_URL": own_postgres.url, "REDIS_URL": own_redis.url, **env})

    return start
