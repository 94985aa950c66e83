from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from tests.integration.release.commands import Command
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.release.checks.stream_entries import newest
from uniassist.store import outbox
from uniassist.store.server import pool
from uniassist.streams.client import connect
from uniassist.streams.proof import KEY


async def test_the_smoke_takes_no_row_of_a_running_worker_and_gives_it_none(
    command: Command, service: Callable[..., ServiceProcess], database_url: str, redis_url: str
) -> None:
    service("worker", DATABASE_URL=database_url, REDIS_URL=redis_url, UNIASSIST_STREAM_CONSUMER="beside")
    connection = await pool.connect(database_url)
    databases = await connection.fetch("SELECT datname FROM pg_database ORDER BY 1")
    smoking = asyncio.create_task(
        asyncio.to_thread(command, "smoke", DATABASE_URL=database_url, REDIS_URL=redis_url)
    )
    mine: list[str] = []
    while not smoking.done():
        mine.append(f"mine-{len(mine)}")
        await outbox.inject(connection, event_id=mine[-1], session_id=f"session-{len(mine) % 5}")
        await asyncio.wait([smoking], timeout=0.05)
    ended = await smoking

    async def all_consumed() -> bool:
        rows = await connection.fetch("SELECT event_id, status, consumed_by FROM outbox_events ORDER BY id")
        return [tuple(row) for row in rows] == [(event_id, "consumed", "beside") for event_id in mine]

    await eventually(all_consumed, "the worker consumed its own rows, all of them and no other")
    assert ended.code == 0, ended.said
    assert "5 ok, 0 failed" in ended.out
    async with connect(redis_url) as redis:
        entries = await newest(redis, "uniassist:timeline:all", 100_000)
        keys = [key.decode() async for key in redis.scan_iter()]
    assert {event_id for _, event_id in entries} <= set(mine)
    assert [key for key in keys if "uniassist_check" in key] == []
    assert await connection.fetch("SELECT datname FROM pg_database ORDER BY 1") == databases
    await connection.close()


async def test_a_smoke_that_is_interrupted_leaves_nothing_on_the_servers(
    command: Command, database_url: str, redis_url: str
) -> None:
    connection = await pool.connect(database_url)
    async with connect(redis_url) as redis, AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        databases = await connection.fetch("SELECT datname FROM pg_database ORDER BY 1")
        ended = await asyncio.to_thread(
            command.interrupted,
            "smoke",
            when=lambda line: "a failed event recovers" in line,
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
        )

        assert ended.code == 130, ended.said
        assert await connection.fetch("SELECT datname FROM pg_database ORDER BY 1") == databases
        left = [key async for key in redis.scan_iter() if key != KEY.encode()]  # goes by itself in a minute
        assert left == []
