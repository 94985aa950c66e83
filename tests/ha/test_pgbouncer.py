"""A pgbouncer between us and Postgres, in session and in transaction mode: all works, and stays durable."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.integration.delivery.outbox_rows import opened
from tests.integration.gateway.client import GatewayClient, message
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.server import Account, ServerProcess
from uniassist.store import migrate
from uniassist.store.server.pool import create_pool
from uniassist.web.calling.client import JsonClient

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer isn't installed: see `make test-ha`")

_CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={postgres_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
"""
# Fewer than our connections in transaction mode, so that they share; a session needs one of its own.
_SIZES = {"transaction": 3, "session": 60}


@pytest.fixture(params=sorted(_SIZES))
def pooled_url(
    server_directory: Path, own_postgres: EmbeddedPostgres, request: pytest.FixtureRequest
) -> Iterator[str]:
    folder, mode, port = server_directory / f"pgbouncer-{request.param}", request.param, free_port()
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"postgres" "{urlsplit(own_postgres.url).password}"\n', "utf-8")
    text = _CONFIGURATION.format(
        postgres_port=own_postgres.port, port=port, users=users, mode=mode, size=_SIZES[mode]
    )
    configuration.write_text(text, "utf-8")
    process = ServerProcess("pgbouncer", folder / "log", account=Account.unprivileged())
    process.spawn([str(PROGRAM), "-q", str(configuration)], cwd=folder, death_signal=signal.SIGKILL)
    process.wait_ready(lambda: _accepts(port))
    yield own_postgres.url.replace(f":{own_postgres.port}/", f":{port}/")
    process.kill()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def test_inputs_reach_the_streams(
    service: Callable[..., ServiceProcess], pooled_url: str, own_postgres: EmbeddedPostgres, redis_url: str
) -> None:
    servers = {"DATABASE_URL": pooled_url, "REDIS_URL": redis_url}
    gateway, worker = service("gateway", **servers), service("worker", **servers)
    async with JsonClient() as client, opened(own_postgres.url, redis_url) as outbox:
        asked = GatewayClient(client, gateway.url)
        await asyncio.gather(*(asked.ingest(message("你好")) for _ in range(60)))
        await outbox.all_consumed()
        for each in (gateway, worker):
            await eventually(partial(is_well, client, each), f"{each.name} is well", 60)


async def is_well(client: JsonClient, each: ServiceProcess) -> bool:
    return (await client.request("GET", f"{each.url}/health", timeout_seconds=5)).status == 200


async def test_every_transaction_is_durable_and_sets_what_it_depends_on(pooled_url: str) -> None:
    async with await create_pool(pooled_url, application_name="test", settings={"lock_timeout": "2s"}) as pool:

        async def seen() -> tuple[str, ...]:
            async with pool.acquire() as connection, connection.transaction():
                names = ("synchronous_commit", "lock_timeout", "transaction_isolation")
                return tuple([await connection.fetchval("SELECT current_setting($1)", name) for name in names])

        assert set(await asyncio.gather(*(seen() for _ in range(20)))) == {("on", "2s", "read committed")}


async def test_what_one_service_sets_stays_its_own(pooled_url: str) -> None:
    """The worker's commits need not be durable; on the session that they had, another's are."""
    async with await create_pool(pooled_url, application_name="a", settings={"synchronous_commit": "off"}) as one:
        assert set(await asyncio.gather(*(one.fetchval("SHOW synchronous_commit") for _ in range(10)))) == {"off"}
    async with await create_pool(pooled_url, application_name="b") as other:
        assert set(await asyncio.gather(*(other.fetchval("SHOW synchronous_commit") for _ in range(10)))) == {"on"}


def test_migrations_run_through_it(pooled_url: str) -> None:
    parts = urlsplit(pooled_url)
    assert migrate.upgrade(parts._replace(path="/postgres").geturl()).pending == []
