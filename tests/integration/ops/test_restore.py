"""A dump under load, restored on another server beside an empty Redis: as docs/operations.md has it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psycopg
import pytest
from tests.integration.delivery.outbox_rows import GLOBAL, Outbox, opened
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres, binaries
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store import migrate
from uniassist.web.calling.client import JsonClient

SESSIONS = 8
_PROGRAMS = Path(os.environ.get("TEST_POSTGRES_BIN") or binaries())
pytestmark = pytest.mark.skipif(
    not (_PROGRAMS / "pg_dump").exists(), reason="the server's package has no pg_dump of its version"
)


class Talk:
    """People who write one message after the other, until told to stop. By session: how many were acknowledged."""

    def __init__(self, gateway: str) -> None:
        self.acknowledged: Counter[str] = Counter()
        self._gateway = gateway
        self._over = asyncio.Event()

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with JsonClient() as http, asyncio.TaskGroup() as people:
            client = GatewayClient(http, self._gateway)
            for number in range(SESSIONS):
                people.create_task(self._write(client, f"restored-{number}"))
            try:
                yield
            finally:
                self._over.set()

    async def _write(self, client: GatewayClient, session: str) -> None:
        while not self._over.is_set():
            await client.ingest(message(sessionId=session, userId=f"user-of-{session}"))
            self.acknowledged[session] += 1


async def test_what_was_acknowledged_before_a_dump_is_whole_after_its_restore(
    database_url: str,
    redis_url: str,
    own_postgres: EmbeddedPostgres,
    own_redis: EmbeddedRedis,
    service: Callable[..., ServiceProcess],
    tmp_path: Path,
) -> None:
    gateway = service("gateway", DATABASE_URL=database_url, REDIS_URL=redis_url)
    worker = service("worker", DATABASE_URL=database_url, REDIS_URL=redis_url)
    talk = Talk(gateway.url)
    async with talk.going_on():
        await eventually(lambda: len(talk.acknowledged) == SESSIONS, "all write", 60)
        async with opened(database_url, redis_url) as before:
            await eventually(lambda: _some_consumed(before), "some is delivered", 60)
        worker.kill()  # in the middle: of what is written from now on, nothing is delivered when the dump is made
        reached = Counter(talk.acknowledged)
        await eventually(lambda: all(talk.acknowledged[s] > reached[s] + 1 for s in reached), "they go on", 60)
        promised = Counter(talk.acknowledged)
        dump = tmp_path / "uniassist.dump"
        await _run("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={database_url}")
    gateway.kill()

    with psycopg.connect(own_postgres.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored TEMPLATE template0 ENCODING 'UTF8'")
    restored = own_postgres.url_for("restored")
    await _run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", str(dump))
    assert not (await asyncio.to_thread(migrate.status, restored)).pending
    async with opened(restored, own_redis.url) as after:
        unconsumed = await after.pool.fetch(
            "SELECT event_id, session_id FROM outbox_events WHERE status <> 'consumed' ORDER BY id"
        )
        assert unconsumed, "the dump has something left to deliver"
        assert await _some_consumed(after)
        service("worker", DATABASE_URL=restored, REDIS_URL=own_redis.url)
        await after.all_consumed(60)
        await _check_timelines(after, promised)
        await after.check_session_streams(complete=False)
        await _check_delivered_once(after, unconsumed)
        await _check_goes_on(after, service("gateway", DATABASE_URL=restored, REDIS_URL=own_redis.url))


def _sessions() -> list[str]:
    return [f"restored-{number}" for number in range(SESSIONS)]


async def _some_consumed(outbox: Outbox) -> bool:
    return bool(await outbox.pool.fetchval("SELECT EXISTS (SELECT FROM outbox_events WHERE status = 'consumed')"))


async def _check_timelines(outbox: Outbox, promised: Counter[str]) -> None:
    """Nothing is missing of what was acknowledged; nothing has a gap; the session knows where it is."""
    for session, inputs in promised.items():
        rows = await outbox.pool.fetch("SELECT seq, kind FROM timeline_events WHERE session_id = $1", session)
        assert sorted(row["seq"] for row in rows) == list(range(1, len(rows) + 1)), session
        assert sum(row["kind"] == "inbound" for row in rows) >= inputs, session
        at = await outbox.pool.fetchval("SELECT seq FROM sessions WHERE session_id = $1", session)
        assert at == len(rows), session
    lost = "SELECT event_id FROM timeline_events EXCEPT SELECT event_id FROM outbox_events"
    assert await outbox.pool.fetch(lost) == []


async def _check_delivered_once(outbox: Outbox, unconsumed: list[asyncpg.Record]) -> None:
    """What the dump had as consumed needn't come again; all else is there, once."""
    on_sessions = [entry.event_id for session in _sessions() for entry in await outbox.session_stream(session)]
    assert {row["event_id"] for row in unconsumed} <= set(on_sessions)
    on_global = [entry.event_id for entry in await outbox.stream(GLOBAL) if "eventId" in entry.fields]
    for found in (on_sessions, on_global):
        assert len(found) == len(set(found))


async def _check_goes_on(outbox: Outbox, gateway: ServiceProcess) -> None:
    """The next message of each session comes behind what was restored, and is delivered."""
    rows = await outbox.pool.fetch("SELECT session_id, seq FROM sessions")
    before = {row["session_id"]: row["seq"] for row in rows}
    async with JsonClient() as http:
        client = GatewayClient(http, gateway.url)
        for session in _sessions():
            await client.ingest(message(sessionId=session, userId=f"user-of-{session}"))
    await outbox.all_consumed(60)
    for session in _sessions():
        entries = await outbox.session_stream(session)
        new = [entry for entry in entries if entry.number[0] > before[session]]
        assert [entry.number[0] for entry in new][:1] == [before[session] + 1], session
    await outbox.check_session_streams(complete=False)


async def _run(program: str, *arguments: str) -> None:
    """A program of the server's own version, to its end."""
    command = [str(_PROGRAMS / program), *arguments]
    done = await asyncio.to_thread(lambda: subprocess.run(command, capture_output=True, text=True, timeout=60))
    assert done.returncode == 0, done.stderr
