"""Whatever is wrong with Postgres is one of a handful of errors, told apart by code, with the words for it."""

from __future__ import annotations

import asyncio

import pytest
from tests.server_faults import CONNECTING, SILENT, FaultyPostgres, silent_port
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.errors import (
    AccessRefused,
    Away,
    Full,
    Locked,
    NoPermission,
    NoSchema,
    NotStorable,
    Outage,
    ReadOnly,
    Rejected,
    ServerFault,
    TooManyConnections,
    TryAgain,
    Unavailable,
)
from uniassist.store import outbox
from uniassist.store.server import faults, pool
from uniassist.store.server.pool import Connection, Pool, create_pool


@pytest.mark.parametrize("fault", CONNECTING)
async def test_who_cannot_connect_is_told_why(faulty_postgres: FaultyPostgres, fault: str) -> None:
    url = faulty_postgres.url(fault)
    with pytest.raises(Outage) as alone:
        await pool.connect(url)
    async with await create_pool(url, application_name="test") as pooled:
        with pytest.raises(Outage) as lent:
            await pooled.fetchval("SELECT 1")
        with pytest.raises(Outage):
            async with pooled.acquire(timeout=5):
                raise AssertionError("it lent one")
    assert alone.value.words == lent.value.words == CONNECTING[fault]
    assert "let-me-in" not in str(alone.value)


async def test_a_server_that_says_nothing_is_away_in_time() -> None:
    with silent_port() as port, pytest.raises(Away) as caught:
        await pool.connect(f"postgresql://postgres@127.0.0.1:{port}/uniassist")
    assert caught.value.words == SILENT


async def test_a_role_without_rights_has_no_permission(faulty_postgres: FaultyPostgres) -> None:
    async with await pool.connect(faulty_postgres.of_role("without_rights")) as connection:
        with pytest.raises(NoPermission, match=r"^postgres: no permission: .*outbox_events"):
            await outbox.stats(connection)


async def test_a_session_that_only_reads_says_so(faulty_postgres: FaultyPostgres) -> None:
    async with await pool.connect(faulty_postgres.of_role("only_reading")) as connection:
        assert await outbox.stats(connection) == []
        with pytest.raises(ReadOnly) as caught:
            await outbox.inject(connection, event_id="e", session_id="s")
    assert caught.value.words == "postgres: read-only"


async def test_a_database_without_our_tables_has_no_schema(empty_database_url: str) -> None:
    async with await pool.connect(empty_database_url) as connection:
        with pytest.raises(NoSchema) as caught:
            await outbox.stats(connection)
    assert caught.value.words == "postgres: no schema (next: uniassist db migrate)"


async def test_a_connection_that_is_cut_is_away(database_url: str) -> None:
    async with await pool.connect(database_url) as operator, await pool.connect(database_url) as victim:
        number = await victim.fetchval("SELECT pg_backend_pid()")
        sleeping = asyncio.create_task(victim.fetchval("SELECT pg_sleep(60)"))
        await eventually(lambda: is_busy(operator, number), "the statement runs")
        await operator.execute("SELECT pg_terminate_backend($1)", number)
        with pytest.raises(Away, match=r"^postgres: away \("):
            await sleeping
        with pytest.raises(Away, match=r"^postgres: away \("):
            await victim.fetchval("SELECT 1")


async def is_busy(operator: Connection, number: int) -> bool:
    state = await operator.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", number)
    return bool(state == "active")


async def test_a_statement_that_takes_too_long_is_away_by_either_clock(database_url: str) -> None:
    async with await pool.connect(database_url) as connection:
        with pytest.raises(Away, match=r"^postgres: away \(no answer in time\)$"):
            await connection.fetchval("SELECT pg_sleep(60)", timeout=0.1)
        await connection.execute("SET statement_timeout = 100")
        with pytest.raises(Away, match=r"^postgres: away \(a statement took too long, or was cancelled\)"):
            await connection.fetchval("SELECT pg_sleep(60)")


async def test_what_somebody_holds_is_locked(database_url: str) -> None:
    async with await pool.connect(database_url) as one, await pool.connect(database_url) as other:
        await other.execute("SET lock_timeout = 50")
        async with one.transaction():
            await one.execute("LOCK TABLE outbox_events")
            with pytest.raises(Locked, match="postgres: locked"):
                await outbox.inject(other, event_id="e", session_id="s")


async def test_of_two_that_write_the_same_one_is_to_try_again(database_url: str) -> None:
    async with await pool.connect(database_url) as connection:
        await outbox.inject(connection, event_id="e", session_id="s")
        with pytest.raises(TryAgain, match=r"^postgres: try again \(the same key\)"):
            await outbox.inject(connection, event_id="e", session_id="s")


async def test_a_serialization_failure_comes_out_of_the_commit(database_url: str) -> None:
    async with await pool.connect(database_url) as one, await pool.connect(database_url) as other:
        for each in (one, other):
            await each.execute("SET default_transaction_isolation = 'serializable'")
        with pytest.raises(TryAgain, match=r"^postgres: try again \(serialization\)"):
            await write_after_reading(one, other)


async def write_after_reading(one: Connection, other: Connection) -> None:
    """Each counts rows before the other adds one: only one order of the two would be right."""
    async with one.transaction(), other.transaction():
        for each, name in ((one, "a"), (other, "b")):
            await each.fetchval("SELECT count(*) FROM outbox_events")
            await outbox.inject(each, event_id=name, session_id="s")


@pytest.mark.parametrize("value", ["nul \0", "half a pair \ud800"])
async def test_a_value_that_cannot_be_held_is_not_storable_nor_repeated(database_url: str, value: str) -> None:
    async with await pool.connect(database_url) as connection:
        with pytest.raises(NotStorable) as caught:
            await outbox.inject(connection, event_id=value, session_id="s")
    assert str(caught.value).startswith("postgres: not storable (22")
    assert value not in str(caught.value)


async def test_a_time_that_python_cannot_hold_is_rejected_and_the_connection_goes_on(database_url: str) -> None:
    async with await pool.connect(database_url) as connection:
        with pytest.raises(Rejected, match="a value that can't be read"):
            await connection.fetchval("SELECT '20000-01-01'::timestamptz")
        assert await connection.fetchval("SELECT 1") == 1


async def test_the_first_error_of_a_transaction_comes_out_though_its_rollback_fails(database_url: str) -> None:
    async with await create_pool(database_url, application_name="test") as pooled:
        with pytest.raises(Away) as caught:
            async with pooled.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert caught.value.reason in ("it ended the connection", "the connection broke")
        assert await pooled.fetchval("SELECT 1") == 1


async def test_an_error_of_the_caller_passes_and_rolls_back(database_url: str) -> None:
    async with await create_pool(database_url, application_name="test") as pooled:
        with pytest.raises(ZeroDivisionError):
            await write_and_fail(pooled)
        assert await pooled.fetchval("SELECT count(*) FROM outbox_events") == 0


async def write_and_fail(pooled: Pool) -> None:
    async with pooled.acquire() as connection, connection.transaction():
        await outbox.inject(connection, event_id="e", session_id="s")
        raise ZeroDivisionError


async def test_a_changed_schema_is_to_try_again_in_a_transaction(database_url: str) -> None:
    """A statement that is prepared before a migration: the driver prepares it anew the next time."""

    async def read(pooled: Pool) -> None:
        async with pooled.acquire() as connection, connection.transaction():
            await connection.fetch("SELECT * FROM delivery_control")

    async with await create_pool(database_url, application_name="test", max_size=1) as pooled:
        await read(pooled)
        async with await pool.connect(database_url) as operator:
            await operator.execute("ALTER TABLE delivery_control ADD COLUMN more integer")
        with pytest.raises(TryAgain, match=r"^postgres: try again \(the schema changed\)"):
            await read(pooled)
        await read(pooled)


async def test_a_server_that_stops_and_starts_is_away_meanwhile(own_postgres: EmbeddedPostgres) -> None:
    async with await create_pool(own_postgres.url, application_name="test") as pooled:
        assert await pooled.fetchval("SELECT 1") == 1
        await asyncio.to_thread(own_postgres.stop)
        for _ in range(3):
            with pytest.raises(Away):
                await pooled.fetchval("SELECT 1")
        await asyncio.to_thread(own_postgres.start)

        async def answers() -> bool:
            try:
                return bool(await pooled.fetchval("SELECT 1"))
            except Away:
                return False

        await eventually(answers, "it is back")


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("53100", Full, "postgres: full (disk)"),
        ("53200", Full, "postgres: full (memory)"),
        ("53400", Full, "postgres: full (a limit of its configuration)"),
        ("53300", TooManyConnections, "postgres: too many connections"),
        ("57P01", Away, "postgres: away (it ended the connection)"),
        ("57P02", Away, "postgres: away (it crashed)"),
        ("57P03", Away, "postgres: away (starting or stopping)"),
        ("57P04", AccessRefused, "postgres: refused (no such database)"),
        ("58030", Away, "postgres: away (its disk fails)"),
        ("08006", Away, "postgres: away (the connection broke)"),
        ("25P03", Away, "postgres: away (it ended a transaction that stood idle)"),
        ("40P01", TryAgain, "postgres: try again (deadlock)"),
        ("54000", NotStorable, "postgres: not storable (too large)"),
        ("42601", Rejected, "postgres: rejected (42601)"),
    ],
)
def test_codes_that_no_test_can_bring_about(code: str, kind: type[ServerFault], words: str) -> None:
    fault = faults.of_code(code, "said")
    assert (type(fault), fault.words) == (kind, words)


def test_callers_of_the_api_hear_of_an_outage_and_nothing_of_the_server() -> None:
    fault = faults.of_code("28P01", 'password authentication failed for user "me"', connecting=True)
    assert isinstance(fault, Unavailable)
    assert (fault.status, fault.code, fault.headers) == (503, "UNAVAILABLE", {"Retry-After": "1"})
    assert fault.detail == "a server behind this one can't be used; try again"
    too_large = faults.of_code("54000", "")
    assert isinstance(too_large, NotStorable)
    assert (too_large.status, too_large.code) == (400, "INVALID_REQUEST")
