"""Two hosts in DATABASE_URL: a standby is promoted while services run; the old primary comes back read-only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest
from tests.integration.delivery.asking import health, uniassist
from tests.integration.delivery.outbox_rows import opened
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess
from tests.standbys import promote, standby_of
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.web.calling.client import CallFailed, JsonClient

# Inputs go on within this of the promotion.
GOES_ON_SECONDS = 5.0
CLIENTS = 4


@pytest.fixture
def standby(own_postgres: EmbeddedPostgres, server_directory: Path) -> Iterator[EmbeddedPostgres]:
    """Has whatever the primary has confirmed."""
    found = standby_of(own_postgres, server_directory / f"standby-of-{own_postgres.port}")
    with psycopg.connect(own_postgres.url_for("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
    yield found
    found.process.kill()


@dataclass
class Writers:
    """People who write without a pause. `acknowledged`: by the input's trace, when it was."""

    asked: GatewayClient
    acknowledged: dict[str, float] = field(default_factory=dict)

    async def write(self) -> None:
        while True:  # ends: cancelled
            body = message("你好")
            try:
                answer = await self.asked.post("/v0/ingest", body)
            except CallFailed:
                continue
            if answer.status == 200:
                self.acknowledged[body["traceId"]] = time.monotonic()

    def since(self, moment: float) -> bool:
        return any(at > moment for at in self.acknowledged.values())


@asynccontextmanager
async def writing(asked: GatewayClient) -> AsyncIterator[Writers]:
    writers = Writers(asked)
    tasks = [asyncio.create_task(writers.write()) for _ in range(CLIENTS)]
    try:
        yield writers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def url_of_both(first: EmbeddedPostgres, second: EmbeddedPostgres) -> str:
    both = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
    return first.url.replace(f"127.0.0.1:{first.port}", both) + "?target_session_attrs=read-write"


def follows(primary: EmbeddedPostgres) -> bool:
    with psycopg.connect(primary.url_for("postgres"), autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone()
    return row == (1,)


def set_read_only_while_down(server: EmbeddedPostgres) -> None:
    with (server.data_directory / "postgresql.auto.conf").open("a") as out:
        out.write("default_transaction_read_only = 'on'\nsynchronous_standby_names = ''\n")


@pytest.mark.parametrize("ending", ["killed", "frozen"])
async def test_inputs_go_on_and_none_is_lost(
    service: Callable[..., ServiceProcess],
    own_postgres: EmbeddedPostgres,
    standby: EmbeddedPostgres,
    redis_url: str,
    ending: str,
) -> None:
    await eventually(lambda: follows(own_postgres), "the standby follows")
    url = url_of_both(own_postgres, standby)
    env = {"DATABASE_URL": url, "REDIS_URL": redis_url}
    gateway, worker = service("gateway", **env), service("worker", **env)
    async with JsonClient() as client, writing(GatewayClient(client, gateway.url)) as writers:
        await eventually(lambda: writers.since(0), "inputs are taken")
        if ending == "killed":
            own_postgres.process.kill()
        else:
            own_postgres.process.pause()
        await asyncio.to_thread(promote, standby)
        promoted_at = time.monotonic()
        await eventually(lambda: writers.since(promoted_at), "inputs go on", GOES_ON_SECONDS)
        went_on_after = min(at for at in writers.acknowledged.values() if at > promoted_at) - promoted_at
        for each in (gateway, worker):
            await eventually(partial(is_well, each), f"{each.name} is well", GOES_ON_SECONDS)
        print(f"{ending}: went on {went_on_after:.1f} s after the promotion")

        if ending == "killed":
            set_read_only_while_down(own_postgres)
            await asyncio.to_thread(own_postgres.start)
            another = service("gateway", **env)  # asks the old primary first
            await GatewayClient(client, another.url).ingest(message("你好"))
            assert await is_well(another)
            assert (await uniassist("db", "status", database_url=url)).code == 0
    async with opened(standby.url, redis_url) as outbox:
        kept = {row["trace_id"] for row in await outbox.pool.fetch("SELECT trace_id FROM timeline_events")}
        assert writers.acknowledged.keys() - kept == set()
        await outbox.all_consumed()


async def is_well(service: ServiceProcess) -> bool:
    status, checks = await health(service)
    return (status, checks["postgres"]) == (200, "ok")
