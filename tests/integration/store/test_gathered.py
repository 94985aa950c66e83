"""Calls that share a round trip, on a real Postgres: each is carried out once or not at all, and says which."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from tests.waiting import eventually

from uniassist.errors import Away, NotStorable
from uniassist.store.server.gathering import TOGETHER_SECONDS
from uniassist.store.server.pool import Pool, create_pool

COUNT = """
INSERT INTO counted AS c VALUES ($1, 1, $2) ON CONFLICT (key) DO UPDATE SET times = c.times + 1 RETURNING key, times
"""
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with await create_pool(database_url, application_name="test") as pool:
        await pool.execute("CREATE TABLE counted (key text PRIMARY KEY, times int, said text)")
        yield pool


@pytest.fixture
def beside(pool: Pool, database_url: str) -> Iterator[psycopg.Connection]:
    """Who holds a row of "held" meanwhile, and looks. Rolled back at the end."""
    with psycopg.connect(database_url, autocommit=True) as looking:
        looking.execute("INSERT INTO counted VALUES ('held', 0)")
        with psycopg.connect(database_url) as holding:
            holding.execute("SELECT FROM counted WHERE key = 'held' FOR UPDATE")
            yield holding


async def count(pool: Pool, key: str, said: str = "") -> int | None:
    row = await pool.fetchrow_gathered(key, COUNT, key, said, by="key", timeout=60)
    return row["times"] if row is not None else None


async def asked_together(pool: Pool, *keys: str) -> list[asyncio.Task[int | None]]:
    """Behind one that is asked first."""
    calls = [asyncio.create_task(count(pool, key)) for key in ("first", *keys)]
    assert await calls[0] == 1
    return calls[1:]


async def waits(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as looking:
        await eventually(lambda: looking.execute(WAITS).fetchone() == (1,), "one waits for the row")


def counted(url: str) -> dict[str, int]:
    with psycopg.connect(url) as looking:
        return dict(looking.execute("SELECT key, times FROM counted").fetchall())


async def test_an_answer_that_came_while_we_stood_still_is_taken(
    pool: Pool, database_url: str, beside: psycopg.Connection
) -> None:
    calls = await asked_together(pool, "held", "other")
    await waits(database_url)
    beside.rollback()  # they are carried out now, and nothing of ours runs
    time.sleep(TOGETHER_SECONDS + 0.2)
    assert await asyncio.gather(*calls) == [1, 1]
    assert counted(database_url) == {"first": 1, "held": 1, "other": 1}


async def test_one_that_is_held_up_is_stopped_with_those_beside_it_and_each_is_asked_by_itself(
    pool: Pool, database_url: str, beside: psycopg.Connection
) -> None:
    held, other = await asked_together(pool, "held", "other")
    assert await other == 1
    assert await count(pool, "third") == 1
    assert not held.done()
    beside.rollback()
    assert await held == 1
    assert counted(database_url) == {"first": 1, "held": 1, "other": 1, "third": 1}


@pytest.mark.parametrize("beside_it", [(), ("other",)])
async def test_what_is_held_up_is_not_done_once_nobody_waits_for_it(
    pool: Pool, database_url: str, beside: psycopg.Connection, beside_it: tuple[str, ...]
) -> None:
    held, *others = await asked_together(pool, "held", *beside_it)
    await asyncio.gather(*others)
    await waits(database_url)
    held.cancel()
    await asyncio.wait([held])
    with psycopg.connect(database_url, autocommit=True) as looking:
        await eventually(lambda: looking.execute(WAITS).fetchone() == (0,), "it has been stopped", 10)
    beside.rollback()
    assert await count(pool, "held") == 1


async def test_one_that_cannot_be_stored_fails_by_itself(pool: Pool, database_url: str) -> None:
    calls = [
        asyncio.create_task(count(pool, key, said))
        for key, said in (("x", ""), ("a", ""), ("b", "\x00"), ("c", "\ud800"))
    ]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert found[:2] == [1, 1]
    assert all(isinstance(each, NotStorable) for each in found[2:]), found
    assert counted(database_url) == {"x": 1, "a": 1}
    assert await asyncio.gather(*(count(pool, key) for key in ("x", "a", "b"))) == [2, 2, 1]


async def test_when_the_connection_is_lost_all_are_told_and_the_next_are_carried_out(
    pool: Pool, database_url: str, beside: psycopg.Connection
) -> None:
    calls = await asked_together(pool, "held", "other")
    await waits(database_url)
    beside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, Away) for each in found), found
    beside.rollback()
    assert [await count(pool, key) for key in ("held", "other")] == [1, 1]
