"""What a worker that died had read is seen at once by who takes its shards, whatever its own reader waits for."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from redis.asyncio import Redis
from tests.waiting import eventually

from uniassist.delivery import consumer as module
from uniassist.delivery.completions import Completions
from uniassist.delivery.consumer import Consumer
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.delivery.stream_owner import StreamOwner
from uniassist.streams.group import Group, Read

KEY = "t:left"
YEAR_MS = 365 * 24 * 3600 * 1000


class Ours:
    """The stream is this database's."""

    async def until_ours(self) -> None:
        pass

    def is_foreign(self, _epoch: str) -> bool:
        return False


class Seen:
    def __init__(self) -> None:
        self.entries: list[Read] = []

    async def room_to_read(self) -> None:
        pass

    def seen(self, entries: list[Read]) -> None:
        self.entries += entries


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle consumers' entries are claimed in a year, but for those that are looked for."""
    monkeypatch.setattr(module, "CLAIM_IDLE_MS", YEAR_MS)
    monkeypatch.setattr(module, "LEFT_IDLE_MS", 1)
    monkeypatch.setattr(module, "LEFT_EVERY_SECONDS", 0.01)


@pytest.mark.usefixtures("patient")
async def test_what_a_dead_worker_had_read_is_looked_for_when_its_shards_are_taken(redis: Redis) -> None:
    for number in range(40):
        await redis.xadd(KEY, {"eventId": f"e{number}", "payload": "{}"})
    dead, alive = (Group(redis, key=KEY, name="g", consumer=name) for name in ("dead", "alive"))
    await dead.ensure()
    left = await dead.read_new(count=40, block_ms=1)
    seen = Seen()
    consumer = Consumer(
        alive,
        cast(Completions, seen),
        cast(StreamOwner, Ours()),
        DeliveryMetrics(),
        count=10,
        block_ms=YEAR_MS,
    )
    consumer.loop.start()
    consumer.claiming.start()
    try:
        await eventually(lambda: read_by(redis, "alive"), "its reader waits for what is new")
        assert seen.entries == []
        await asyncio.sleep(0.01)  # idle is counted in milliseconds
        consumer.expect_left()
        await eventually(
            lambda: {entry.event_id for entry in seen.entries} == {entry.event_id for entry in left}, "all are seen"
        )
    finally:
        await consumer.claiming.stop(1)
        await consumer.loop.stop(0)


async def read_by(redis: Redis, name: str) -> bool:
    return name.encode() in [consumer["name"] for consumer in await redis.xinfo_consumers(KEY, "g")]
