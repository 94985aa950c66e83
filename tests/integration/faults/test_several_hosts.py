"""Several hosts in DATABASE_URL: one that says nothing holds nobody up, and the last that was right is first."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest
from tests.ports import free_port
from tests.server_faults import FaultyPostgres, silent_port

from uniassist.errors import Away, ReadOnly
from uniassist.store.server import pool as pools
from uniassist.store.server.pool import create_pool


def with_hosts(url: str, *before: int, query: str = "") -> str:
    """Those ports, and then the server's own."""
    own = urlsplit(url).port
    hosts = ",".join(f"127.0.0.1:{port}" for port in (*before, own))
    return f"{url.replace(f'127.0.0.1:{own}', hosts)}{query}"


async def test_a_host_that_says_nothing_costs_its_own_time_once(database_url: str) -> None:
    with silent_port() as silent:
        url = with_hosts(database_url, silent, query="?connect_timeout=1")
        async with await create_pool(url, application_name="test") as pool:
            async with pool.acquire():
                begun = time.monotonic()
                async with pool.acquire(), pool.acquire() as third:  # each is new
                    assert await third.fetchval("SELECT 1") == 1
            assert time.monotonic() - begun < 1.0, "the host that answered is asked first"


async def test_a_caller_that_waits_no_longer_leaves_word_of_the_host_that_said_nothing(database_url: str) -> None:
    """A proof of writing has less time than a connecting; the next one must get further."""
    with silent_port() as silent:
        async with await create_pool(with_hosts(database_url, silent), application_name="test") as pool:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await pool.fetchval("SELECT 1")
            async with asyncio.timeout(2):
                assert await pool.fetchval("SELECT 1") == 1


async def test_that_none_takes_writes_says_more_than_that_one_is_away(faulty_postgres: FaultyPostgres) -> None:
    url = with_hosts(faulty_postgres.of_role("only_reading"), free_port())
    with pytest.raises(ReadOnly, match="none of the hosts is as target_session_attrs says"):
        await pools.connect(url)
    async with await pools.connect(f"{url}?target_session_attrs=any") as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_all_of_them_away_is_away(database_url: str) -> None:
    url = database_url.replace(str(urlsplit(database_url).port), str(free_port()))
    with pytest.raises(Away, match="connection refused"):
        await pools.connect(with_hosts(url, free_port()))


async def test_the_name_of_the_url_is_what_the_server_sees(database_url: str) -> None:
    async with await create_pool(f"{database_url}?application_name=mine", application_name="test") as pool:
        assert await pool.fetchval("SHOW application_name") == "mine"
    async with await create_pool(database_url, application_name="test") as pool:
        assert await pool.fetchval("SHOW application_name") == "test"
