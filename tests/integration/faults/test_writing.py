"""Servers that answer and take no writes: every /health says which and why; clients move to the new primary."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from tests.chaos.proxy import proxied
from tests.conftest import REDIS_FLAVOUR
from tests.integration.delivery.asking import health
from tests.integration.delivery.outbox_rows import Outbox, opened
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess
from tests.server_faults import FaultyPostgres
from tests.standbys import promote, replicates, set_read_only, standby_of
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import Full, NoPermission, NoSchema, ReadOnly, ServerFault
from uniassist.store.server import pool as pools
from uniassist.store.server import proof
from uniassist.store.server.pool import create_pool
from uniassist.web.calling.client import JsonClient

Start = Callable[..., ServiceProcess]
# Told, and well again, within this of the server's own change.
TRUTH_SECONDS = 5.0
FULL = "full (maxmemory, noeviction)"


@pytest.fixture
def second_redis(server_directory: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(server_directory / "second-redis", flavour=REDIS_FLAVOUR)
    server.start()
    yield server
    server.process.kill()


@pytest.fixture
async def own_outbox(own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis) -> AsyncIterator[Outbox]:
    async with opened(own_postgres.url, own_redis.url) as outbox:
        yield outbox


async def tells(service: ServiceProcess, status: int, said: Mapping[str, str]) -> bool:
    found, checks = await health(service)
    return found == status and said.items() <= checks.items()


async def test_every_service_says_in_words_that_redis_is_full_and_postgres_read_only_and_that_they_are_back(
    service: Start, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    servers = {"DATABASE_URL": own_postgres.url, "REDIS_URL": own_redis.url}
    gateway, worker = service("gateway", **servers), service("worker", **servers)
    wechat = service("adapter-wechat", **servers, GATEWAY_URL=gateway.url)
    needs_redis = {gateway: 200, wechat: 200, worker: 503}

    async def all_tell(statuses: Mapping[ServiceProcess, int], **said: str) -> None:
        end = time.monotonic() + TRUTH_SECONDS
        for each, status in statuses.items():
            left = end - time.monotonic()
            await eventually(partial(tells, each, status, said), f"{each.name} tells {said}", left, 0.1)

    well = dict.fromkeys(needs_redis, 200)
    await all_tell(well, postgres="ok", redis="ok")
    with Redis.from_url(own_redis.url) as admin:
        admin.config_set("maxmemory", 1)
        await all_tell(needs_redis, postgres="ok", redis=FULL)
        admin.config_set("maxmemory", 0)
    await all_tell(well, postgres="ok", redis="ok")
    set_read_only(own_postgres, to=True)
    await all_tell(dict.fromkeys(well, 503), postgres="read-only", redis="ok")
    set_read_only(own_postgres, to=False)
    await all_tell(well, postgres="ok", redis="ok")


async def test_a_redis_that_was_demoted_is_left_for_the_one_at_its_address(
    service: Start,
    own_outbox: Outbox,
    own_postgres: EmbeddedPostgres,
    own_redis: EmbeddedRedis,
    second_redis: EmbeddedRedis,
) -> None:
    async with proxied(own_redis.port) as address:
        url = f"redis://127.0.0.1:{address.port}/0"
        worker = service("worker", DATABASE_URL=own_postgres.url, REDIS_URL=url)
        await own_outbox.write_turn("before", 3)
        await own_outbox.all_consumed()
        await eventually(lambda: replicates(own_redis, second_redis), "the second has the data")
        with Redis.from_url(own_redis.url) as admin:
            admin.execute_command("FAILOVER")
        demoted = {"redis": "read-only (a replica)"}
        await eventually(partial(tells, worker, 503, demoted), "it says so", TRUTH_SECONDS)
        await own_outbox.write_turn("meanwhile", 3)
        address.lead_to(second_redis.port)
        await own_outbox.all_consumed(deadline_seconds=TRUTH_SECONDS)
        await eventually(partial(tells, worker, 200, {"redis": "ok"}), "it is well", TRUTH_SECONDS)


async def test_a_postgres_that_was_demoted_is_left_for_the_one_at_its_address(
    service: Start, own_postgres: EmbeddedPostgres, server_directory: Path, redis_url: str
) -> None:
    standby = await asyncio.to_thread(standby_of, own_postgres, server_directory / "standby")
    try:
        async with proxied(own_postgres.port) as address, JsonClient() as client:
            url = own_postgres.url.replace(f":{own_postgres.port}/", f":{address.port}/")
            gateway = service("gateway", DATABASE_URL=url, REDIS_URL=redis_url)
            asked = GatewayClient(client, gateway.url)
            await asyncio.gather(*(asked.ingest(message("你好")) for _ in range(30)))  # many connections are open
            set_read_only(own_postgres, to=True)
            await eventually(partial(tells, gateway, 503, {"postgres": "read-only"}), "it says so", TRUTH_SECONDS)
            await asyncio.to_thread(promote, standby)
            address.lead_to(standby.port)
            await eventually(partial(tells, gateway, 200, {"postgres": "ok"}), "it is well", TRUTH_SECONDS)
            await asyncio.gather(*(asked.ingest(message("你好")) for _ in range(30)))
    finally:
        standby.process.kill()


@pytest.mark.parametrize(
    ("prepare", "kind", "words"),
    [
        ("GRANT ALL ON sessions TO without_rights", None, ""),
        ("SELECT 1", NoPermission, "postgres: no permission"),
        ("DROP TABLE sessions CASCADE", NoSchema, "postgres: no schema (next: uniassist db migrate)"),
        ("ALTER DATABASE {database} SET default_transaction_read_only = on", ReadOnly, "postgres: read-only"),
        (
            "ALTER DATABASE {database} SET temp_file_limit = '8kB'",  # as a disk without room
            Full,
            "postgres: full (a limit of its configuration)",
        ),
    ],
)
async def test_what_a_proof_of_writing_finds(
    faulty_postgres: FaultyPostgres, database_url: str, prepare: str, kind: type[ServerFault] | None, words: str
) -> None:
    async with await pools.connect(database_url) as operator:
        database = await operator.fetchval("SELECT current_database()")
        await operator.execute(prepare.format(database=database))
        before = await operator.fetchval("SELECT pg_current_wal_lsn()")
        async with await create_pool(faulty_postgres.of_role("without_rights"), application_name="test") as pool:
            if kind is None:
                await proof.prove_writing(pool, "sessions")
                assert await operator.fetchval("SELECT pg_current_wal_lsn() > $1", before), "it was committed"
                assert await pool.fetchval("SELECT count(*) FROM sessions") == 0
                assert await pool.fetchval("SHOW work_mem") == await operator.fetchval("SHOW work_mem")
                return
            with pytest.raises(kind) as caught:
                await proof.prove_writing(pool, "sessions")
    assert caught.value.words == words
