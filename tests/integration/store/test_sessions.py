"""Defaults of a server, a database or a role change nothing for us; a database that isn't UTF8 is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess

from uniassist.devstack import doctor
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.errors import AccessRefused, SettingsError, StartError
from uniassist.release.checks.servers import check_postgres
from uniassist.release.report.checklist import CheckFailed
from uniassist.store import migrate
from uniassist.store.server import pool as pools
from uniassist.store.server.pool import create_pool
from uniassist.web.calling.client import JsonClient

ODD = {
    "synchronous_commit": "off",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "50ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "50ms",
    "timezone": "Asia/Shanghai",
    "datestyle": "German",
    "intervalstyle": "iso_8601",
}


@pytest.fixture
def odd_database_url(database_url: str) -> str:
    """A migrated database whose defaults would break whoever depends on them."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name, value in ODD.items():
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '{value}'")
    return database_url


@pytest.mark.parametrize("name", sorted(ODD))
async def test_each_session_sets_what_it_depends_on(odd_database_url: str, name: str) -> None:
    async with await create_pool(odd_database_url, application_name="test") as pool:
        assert await pool.fetchval("SELECT current_setting($1)", name) != ODD[name]
    async with await pools.connect(odd_database_url) as connection:
        assert await connection.fetchval("SELECT current_setting($1)", name) != ODD[name]


async def test_a_service_may_set_it_differently(database_url: str) -> None:
    async with await create_pool(database_url, application_name="test", settings={"lock_timeout": "2s"}) as pool:
        assert await pool.fetchval("SHOW lock_timeout") == "2s"


async def test_with_odd_defaults_every_input_is_taken(
    service: Callable[..., ServiceProcess], odd_database_url: str, redis_url: str
) -> None:
    gateway = service("gateway", DATABASE_URL=odd_database_url, REDIS_URL=redis_url)
    async with JsonClient() as client:
        asked = GatewayClient(client, gateway.url)
        sent = [message("你好", sessionId=f"s{number % 5}") for number in range(60)]
        acks = await asyncio.gather(*(asked.ingest(each) for each in sent))
    assert len(acks) == len(sent)


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def wrong_database_url(postgres_server: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[str]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE wrong ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0")
        yield postgres_server.url_for("wrong")
        connection.execute("DROP DATABASE wrong WITH (FORCE)")


def test_migrations_refuse_a_database_that_cannot_hold_every_text(wrong_database_url: str) -> None:
    for refused in (migrate.status, migrate.upgrade, migrate.expand):
        with pytest.raises(StartError, match=r"DATABASE_URL: the database wrong is (SQL_ASCII|LATIN1), .*UTF8"):
            refused(wrong_database_url)


def test_so_do_doctor_and_preflight(wrong_database_url: str) -> None:
    found = doctor.database(wrong_database_url)
    assert found.level == "fail"
    assert "which can't hold every text" in found.said
    with pytest.raises(CheckFailed, match=r"DATABASE_URL: the database wrong is .*UTF8"):
        asyncio.run(check_postgres(wrong_database_url))


@pytest.mark.parametrize(
    "query",
    [
        "channel_binding=prefer&connect_timeout=3",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=9000",
        "gssencmode=disable&sslmode=disable&client_encoding=utf8&fallback_application_name=x",
        "application_name=x&target_session_attrs=read-write",
    ],
)
async def test_the_usual_parameters_of_a_url_are_taken(database_url: str, query: str) -> None:
    async with await create_pool(f"{database_url}?{query}", application_name="test") as pool:
        assert await pool.fetchval("SELECT 1") == 1
    await asyncio.to_thread(migrate.status, f"{database_url}?{query}")


@pytest.mark.parametrize("query", ["channel_binding=require", "require_auth=md5", "connect_timeout=soon"])
async def test_those_that_we_have_not_are_refused_by_name(database_url: str, query: str) -> None:
    url = f"{database_url}?{query}"
    with pytest.raises(SettingsError, match=f"^DATABASE_URL: {query.partition('=')[0]}"):
        await create_pool(url, application_name="test")
    with pytest.raises(AccessRefused, match=r"^postgres: refused \(the URL\)"):
        await pools.connect(url)


async def test_of_several_hosts_the_one_that_takes_writes_is_found(database_url: str) -> None:
    url = database_url.replace("@", "@127.0.0.1:1,")
    async with await create_pool(url, application_name="test") as pool:
        assert await pool.fetchval("SELECT 1") == 1
    assert (await asyncio.to_thread(migrate.status, url)).pending == []
