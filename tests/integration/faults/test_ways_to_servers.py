"""Addresses and names as people write them: IPv6, sockets, passwords with any character; by all of our drivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from redis import Redis
from tests.certificates import Authority
from tests.tls_front import Front

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.release.checks.servers import check_postgres, check_redis
from uniassist.settings import Reader
from uniassist.store import migrate
from uniassist.store.server.pool import create_pool
from uniassist.streams.client import create_client
from uniassist.streams.proof import prove_writing

ODD_PASSWORD = "a@b:c/d?e#f%g h+i&j=k[l]'m\"n\\o,p"


@dataclass(frozen=True)
class Ways:
    """To one server: a port on ::1, and a folder with a socket."""

    v6_port: int
    folder: Path


async def ways(stack: AsyncExitStack, folder: Path, socket: str, behind: int) -> Ways:
    front = Front(behind, Authority(folder).issue("any"), at_once=False)
    v6 = await asyncio.start_server(front.serve, "::1", 0)
    local = await asyncio.start_unix_server(front.serve, folder / socket)
    for server in (v6, local):
        stack.callback(server.close)
    stack.push_async_callback(front.cut)
    return Ways(v6.sockets[0].getsockname()[1], folder)


@pytest.fixture
async def to_postgres(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Ways]:
    async with AsyncExitStack() as stack:
        yield await ways(stack, tmp_path, ".s.PGSQL.5433", postgres_server.port)


@pytest.fixture
async def to_redis(redis_server: EmbeddedRedis, tmp_path: Path) -> AsyncIterator[Ways]:
    async with AsyncExitStack() as stack:
        yield await ways(stack, tmp_path, "redis.sock", redis_server.port)


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://{login}@[::1]:{v6}/uniassist",
        "postgresql://{login}@[::1]:{v6},127.0.0.1:1/uniassist",
        "postgresql://{login}@127.0.0.1:1,[::1]:{v6}/uniassist?sslmode=disable",
        "postgresql://{login}@/uniassist?host={folder}&port=5433",
        "postgresql://{login}@{socket}:5433/uniassist",
        "postgresql:///uniassist?host=::1&port={v6}&user={user}&password={password}",
        "postgresql://{login}@[::1]/uniassist?host=127.0.0.1,127.0.0.1&port=1,{port}&options=-c%20jit%3Doff",
        "postgres://{login}@127.0.0.1:{port}/uniassist?sslmode=prefer&keepalives_idle=5&connect_timeout=3",
    ],
)
async def test_each_way_to_postgres_is_found_by_both_drivers(
    postgres_server: EmbeddedPostgres, to_postgres: Ways, form: str
) -> None:
    login = urlsplit(postgres_server.url).netloc.rpartition("@")[0]
    user, _, password = login.partition(":")
    url = form.format(
        login=login,
        user=user,
        password=password,
        v6=to_postgres.v6_port,
        port=postgres_server.port,
        folder=to_postgres.folder,
        socket=quote(str(to_postgres.folder), safe=""),
    )
    await all_get_in(url)


async def all_get_in(url: str) -> None:
    """Whoever reads the setting, the services' driver, preflight, and the driver of migrations."""
    assert Reader({"UNIASSIST_ENV": "staging", "DATABASE_URL": url}).database_url().reveal() == url
    async with await create_pool(url, application_name="test") as pool:
        assert await pool.fetchval("SELECT current_database()") == "uniassist"
    await check_postgres(url)
    assert (await asyncio.to_thread(migrate.status, url)).current is None


async def test_a_password_of_postgres_may_have_any_character(postgres_server: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as admin:
        admin.execute('DROP ROLE IF EXISTS "odd one"')
        admin.execute(
            "CREATE ROLE \"odd one\" SUPERUSER LOGIN PASSWORD '{}'".format(ODD_PASSWORD.replace("'", "''"))
        )
        written = f"{quote('odd one', safe='')}:{quote(ODD_PASSWORD, safe='')}"
        await all_get_in(f"postgresql://{written}@127.0.0.1:{postgres_server.port}/uniassist")
        await all_get_in(
            f"postgresql://127.0.0.1:{postgres_server.port}/uniassist?user=odd%20one"
            f"&password={quote(ODD_PASSWORD, safe='')}"
        )
        admin.execute('DROP ROLE "odd one"')


@pytest.mark.parametrize(
    "form",
    [
        "redis://{login}@[::1]:{v6}/3",
        "redis://{login}@127.0.0.1:{port}?db=3&socket_timeout=0.001&max_connections=1&client_name=x",
        "unix://{login}@{folder}/redis.sock?db=3",
        "redis://127.0.0.1:{port}/3?username=odd&password={password}&protocol=2",
    ],
)
async def test_each_way_to_redis_is_found(redis_server: EmbeddedRedis, to_redis: Ways, form: str) -> None:
    password = quote(ODD_PASSWORD, safe="")
    url = form.format(
        login=f"odd:{password}",
        password=password,
        v6=to_redis.v6_port,
        port=redis_server.port,
        folder=to_redis.folder,
    )
    with Redis.from_url(redis_server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "odd", "on", f">{ODD_PASSWORD}", "+@all", "~*", "&*")
        assert Reader({"UNIASSIST_ENV": "staging", "REDIS_URL": url}).redis_url().reveal() == url
        client = create_client(url)
        await prove_writing(client)
        await check_redis(url)
        await client.aclose()
    with Redis.from_url(redis_server.url.replace("/0", "/3")) as admin:
        assert admin.delete("uniassist-proof") == 1, "it is in that database"
        admin.execute_command("ACL", "DELUSER", "odd")
