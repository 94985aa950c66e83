"""The table of outages row by row, and real servers in each state that one can be brought into."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis
from tests.ports import free_port

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import Away, Full, Moved, NoSchema, Outage, ReadOnly, Server
from uniassist.release.checks import outages
from uniassist.release.checks.outages import TABLE, Suspects, look, of_fault
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.steps import Advice


@pytest.mark.parametrize(
    ("server", "kind"), TABLE, ids=lambda part: part if isinstance(part, str) else part.__name__
)
def test_each_row_names_the_server_the_fault_and_the_remedy(server: Server, kind: type[Outage]) -> None:
    fault = kind(server, said="as it said")
    found = of_fault(fault)
    assert found is not None
    row = TABLE[server, kind]
    assert found.line().startswith(f"{server}: {kind.state}")
    assert row.advice in found.line()
    assert ("no rollback mends that" in found.line()) is not row.rollback_mends
    assert found.is_certain is (kind in (ReadOnly, Full))
    suspects = Suspects(None, None, [found])
    advised = suspects.advice(Advice("uniassist release rollback", "roll back"))()
    assert (advised.next == "uniassist release rollback") is row.rollback_mends
    assert ("roll back" in advised.safe) is row.rollback_mends


def test_a_special_case_of_a_state_has_its_row() -> None:
    class Severed(Away):
        """As a client tells a connection that broke from one that was never made."""

    found = of_fault(Severed("redis", "connection refused"))
    assert found is not None
    assert found.row == TABLE["redis", Away]


def test_every_state_of_a_server_has_a_row() -> None:
    kinds = set(Outage.__subclasses__())
    assert {kind for server, kind in TABLE if server == "postgres"} == kinds - {Moved}  # it has no slots
    assert {kind for server, kind in TABLE if server == "redis"} == kinds - {NoSchema}


async def lines(database_url: str | None, redis_url: str | None) -> list[str]:
    return [outage.line() for outage in await look(database_url, redis_url)]


async def test_servers_that_take_writes_are_no_outage(database_url: str, redis_url: str) -> None:
    assert await lines(database_url, redis_url) == []


async def test_a_postgres_that_only_reads_is_told(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on")
    (line,) = await lines(database_url, None)
    assert line.startswith("postgres: read-only")
    assert "let DATABASE_URL lead to the primary" in line
    assert "no rollback mends that" in line


async def test_a_wrong_password_may_be_the_env_set_s(database_url: str) -> None:
    before, _, after = database_url.partition("@")
    (line,) = await lines(f"{before.rpartition(':')[0]}:wrong@{after}", None)
    assert line.startswith("postgres: refused")
    assert "rollback" not in line


async def test_servers_that_are_away_are_told() -> None:
    found = await lines(f"postgresql://u:p@127.0.0.1:{free_port()}/db", f"redis://127.0.0.1:{free_port()}/0")
    assert [line.partition(" (")[0] for line in found] == ["postgres: away", "redis: away"]


@pytest.fixture
def admin(redis_server: EmbeddedRedis) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as redis:
        yield redis
        redis.config_set("maxmemory", 0)
        redis.replicaof("NO", "ONE")


async def test_a_full_redis_is_told_though_it_answers_a_ping(admin: Redis, redis_url: str) -> None:
    admin.config_set("maxmemory-policy", "noeviction")
    admin.config_set("maxmemory", 1)
    assert admin.ping()
    (line,) = await lines(None, redis_url)
    assert line.startswith("redis: full")
    assert "raise maxmemory" in line


async def test_a_redis_that_replicates_another_is_told(admin: Redis, redis_url: str) -> None:
    admin.replicaof("127.0.0.1", str(free_port()))
    (line,) = await lines(None, redis_url)
    assert line.startswith("redis: read-only")


async def test_a_check_that_fails_names_the_server_that_is_at_fault(admin: Redis, redis_url: str) -> None:
    async def failing() -> str:
        raise CheckFailed("the worker doesn't consume")

    suspects = Suspects(None, redis_url)
    with pytest.raises(CheckFailed, match=r"doesn't consume$"):
        await suspects.named(failing)
    admin.config_set("maxmemory-policy", "noeviction")
    admin.config_set("maxmemory", 1)
    with pytest.raises(CheckFailed, match=r"doesn't consume\nredis: full"):
        await suspects.named(failing)
    assert suspects.holds


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where connections are taken, and nothing is answered: as by a server that was stopped by a signal."""
    monkeypatch.setattr(outages, "LOOK_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_servers_that_are_frozen_are_told(frozen: str) -> None:
    found = await lines(f"postgresql://u:p@{frozen}/db", f"redis://{frozen}/0")
    assert [line.partition(":")[0] for line in found] == ["postgres", "redis"]
    assert all("away (no answer in time)" in line and "no rollback mends that" in line for line in found)


async def test_a_check_that_hangs_on_a_frozen_server_names_it(frozen: str) -> None:
    async def hanging() -> str:
        await asyncio.Event().wait()
        return "never"

    suspects = Suspects(None, f"redis://{frozen}/0")
    with pytest.raises(CheckFailed, match=r"not done within 0 s\nredis: away"):
        await suspects.named(hanging, 0.1)
    assert suspects.holds
