"""Health: true within seconds, honest about what hangs."""

from __future__ import annotations

import asyncio

import pytest
from tests.waiting import eventually

from uniassist.contracts.codec import encode
from uniassist.web import health as module
from uniassist.web.health import HealthRegistry


class Dependency:
    def __init__(self) -> None:
        self.up = True
        self.hangs = False

    async def check(self) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if not self.up:
            raise ConnectionError("refused")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL_SECONDS", 0.02)


def registry() -> HealthRegistry:
    return HealthRegistry(service="gateway", version="1", revision="abc")


async def test_all_well() -> None:
    health = registry()
    health.required("postgres", Dependency().check)
    async with health:
        assert encode(health.read()) == (
            b'{"ok":true,"service":"gateway","version":"1","revision":"abc","checks":{"postgres":"ok"}}'
        )


async def test_a_process_of_the_release_tool_says_which_one_it_is() -> None:
    health = HealthRegistry(service="worker", version="1", revision="v2", instance="5e1f.0", env_digest="abc")
    async with health:
        assert encode(health.read()).endswith(b'"checks":{},"instance":"5e1f.0","envDigest":"abc"}')


async def test_a_required_check_makes_it_unwell_and_well_again() -> None:
    health, postgres = registry(), Dependency()
    health.required("postgres", postgres.check)
    async with health:
        postgres.up = False
        await eventually(lambda: not health.read().ok, "it is unwell")
        assert health.read().checks == {"postgres": "failing"}
        assert health.read().degraded is None
        postgres.up = True
        await eventually(lambda: health.read().ok, "it is well again")


async def test_an_optional_check_only_degrades() -> None:
    health, redis = registry(), Dependency()
    health.required("postgres", Dependency().check)
    health.optional("redis", redis.check)
    async with health:
        redis.up = False
        await eventually(lambda: health.read().checks["redis"] == "failing", "the failing check shows")
        assert health.read().ok
        assert health.read().degraded is True


async def test_a_check_that_hangs_fails_at_its_deadline() -> None:
    health, postgres = registry(), Dependency()
    health.required("postgres", postgres.check, deadline_seconds=0.05)
    health.required("redis", Dependency().check)
    async with health:
        postgres.hangs = True
        await eventually(lambda: not health.read().ok, "the check missed its deadline")
        assert health.read().checks == {"postgres": "failing", "redis": "ok"}


async def test_a_check_that_cannot_be_cancelled_goes_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    release, calls = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal calls
        calls += 1
        while calls > 1 and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    health = registry()
    health.required("postgres", stubborn, deadline_seconds=0.05)
    async with health:
        assert health.read().ok
        monkeypatch.setattr(module, "STALE_SECONDS", 0.2)
        try:
            await eventually(lambda: not health.read().ok, "the last word is stale")
        finally:
            release.set()


async def test_before_the_first_look_nothing_is_claimed() -> None:
    health = registry()
    health.required("postgres", Dependency().check)
    assert not health.read().ok
