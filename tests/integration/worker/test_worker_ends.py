"""A worker that has nothing to do ends when it is told to, however long its loops are given for what they do."""

from __future__ import annotations

import asyncio

import pytest

from uniassist.delivery.engine import Engine
from uniassist.lifecycle import Loop
from uniassist.settings import WorkerSettings
from uniassist.store import delivery
from uniassist.streams.client import create_client
from uniassist.streams.lanes import Layout
from uniassist.worker import app

HOUR_MS = 3_600_000


async def test_it_waits_for_nothing_that_only_time_would_end(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> None:
    async def patient(loop: Loop, deadline_seconds: float = 5.0) -> None:
        await stop(loop, deadline_seconds * HOUR_MS)

    stop = Loop.stop
    monkeypatch.setattr(Loop, "stop", patient)
    monkeypatch.setattr("uniassist.streams.wake.LISTEN_SECONDS", HOUR_MS / 1000)
    settings = WorkerSettings.from_env(
        {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "UNIASSIST_ENV": "test"}
    )
    layout = Layout.of(settings.streams)
    async with (
        await delivery.create_pool(database_url) as pool,
        create_client(redis_url) as redis,
        create_client(redis_url, answer_seconds=HOUR_MS / 1000) as reader,
    ):
        engine = Engine(pool, redis, reader, app._engine_settings(settings, layout, layout.lanes[0]), worker="w")
        engine.start()
        await engine.first_look(60)
        async with asyncio.timeout(60):
            await engine.stop(HOUR_MS / 1000)
