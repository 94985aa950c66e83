"""`uniassist outbox …` as an operator and as a script run it, on rows of every state."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.integration.delivery.asking import Said, uniassist
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres

_ROW = """
INSERT INTO outbox_events (event_id, session_id, payload, status, attempts, last_error, created_at)
VALUES ($1, $2, '{}', $3, $4, $5, now() - $6::interval)
"""
_STATES = ("pending", "processing", "failed", "delivered", "consumed", "dead_letter")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """One event of each state, hours old in that order; two dead letters of one session."""
    connection = await asyncpg.connect(database_url)
    for hours, state in enumerate(_STATES):
        await write(connection, f"{state}-1", "s1", state, hours=hours)
    await write(connection, "dead_letter-2", "s2", "dead_letter", attempts=12, error="WRONGTYPE a key")
    await write(connection, "dead_letter-3", "s2", "dead_letter", attempts=12)
    yield connection
    await connection.close()


async def write(
    connection: asyncpg.Connection,
    event_id: str,
    session_id: str,
    status: str,
    *,
    attempts: int = 0,
    error: str | None = None,
    hours: int = 0,
) -> None:
    await connection.execute(_ROW, event_id, session_id, status, attempts, error, dt.timedelta(hours=hours))


async def count(connection: asyncpg.Connection, status: str) -> int:
    found: int = await connection.fetchval("SELECT count(*) FROM outbox_events WHERE status = $1", status)
    return found


async def outbox(database_url: str, *arguments: str) -> Said:
    said = await uniassist("outbox", *arguments, database_url=database_url)
    assert "Traceback" not in said.err, said.err
    return said


async def as_json(database_url: str, *arguments: str) -> Any:
    said = await outbox(database_url, *arguments, "--json")
    assert said.code == 0, said
    return said.json


async def test_stats_tell_states_ages_rates_and_who_delivers(
    database_url: str, database: asyncpg.Connection
) -> None:
    await database.execute(
        "INSERT INTO delivery_workers VALUES ('one:1:aa', now() + interval '1 hour', 12.5), "
        "('two:2:bb', now() + interval '1 hour', 7.5), ('gone:3:cc', now() - interval '1 minute', 99)"
    )
    await database.execute(
        "UPDATE delivery_shards SET owner = 'one:1:aa', lease_expires_at = now() + interval '1 hour' "
        "WHERE shard < 20"
    )
    found = await as_json(database_url, "stats")
    assert {row["status"]: row["events"] for row in found["states"]} == {
        **dict.fromkeys(_STATES, 1),
        "dead_letter": 3,
    }
    assert found["oldestUnconsumedSeconds"] == pytest.approx(3 * 3600, abs=60), "the delivered one"
    assert found["consumedPerSecond"] == 20.0
    assert [(worker["worker"], worker["shards"]) for worker in found["workers"]] == [
        ("one:1:aa", 20),
        ("two:2:bb", 0),
    ]
    assert found["paused"] is None
    said = await outbox(database_url, "stats")
    assert "dead_letter           3  oldest 5.0 h" in said.out
    assert "consumed 20.0/s over the last minute; the oldest that waits is 3.0 h old" in said.out
    assert "worker one:1:aa: 20 shards, 12.5/s" in said.out


async def test_stats_of_an_empty_outbox(database_url: str) -> None:
    said = await outbox(database_url, "stats")
    assert said.code == 0
    assert said.out.splitlines() == [
        "no events",
        "consumed 0/s over the last minute; nothing waits",
        "no worker is alive",
        "stream not looked at: REDIS_URL is not set",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["pending-1", "processing-1", "failed-1", "delivered-1", "consumed-1", "dead_letter-1"]),
        (("--status", "dead_letter"), ["dead_letter-1", "dead_letter-2", "dead_letter-3"]),
        (("--status", "dead_letter", "--session-id", "s2"), ["dead_letter-2", "dead_letter-3"]),
        (("--session-id", "s2", "--limit", "1"), ["dead_letter-2"]),
        (("--older-than", "150m"), ["delivered-1", "consumed-1", "dead_letter-1"]),
        (("--older-than", "4h", "--status", "consumed"), ["consumed-1"]),
        (("--older-than", "9d"), []),
    ],
)
async def test_list_filters(
    database_url: str, database: asyncpg.Connection, arguments: tuple[str, ...], expected: list[str]
) -> None:
    found = await as_json(database_url, "list", *arguments)
    assert [row["event_id"] for row in found][: len(expected) or None] == expected
    assert arguments == () or len(found) == len(expected)


async def test_list_for_a_person(database_url: str, database: asyncpg.Connection) -> None:
    said = await outbox(database_url, "list", "--session-id", "s2")
    head, second, third = said.out.splitlines()
    assert head == "event          session  status       attempts  age    last error"
    assert (second[:45], second[-14:]) == ("dead_letter-2  s2       dead_letter  12/12   ", "WRONGTYPE a key"[-14:])
    assert third.split()[:4] == ["dead_letter-3", "s2", "dead_letter", "12/12"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("list", "--status", "lost"), "--status"),
        (("list", "--older-than", "soon"), "--older-than"),
        (("list", "--older-than", "5"), "--older-than"),
        (("list", "--limit", "0"), "--limit"),
        (("replay",), "--event-id"),
        (("watch", "--interval", "0"), "--interval"),
    ],
)
async def test_a_wrong_argument_is_named(database_url: str, arguments: tuple[str, ...], named: str) -> None:
    said = await outbox(database_url, *arguments)
    assert said.code == 2
    assert named in said.err


async def test_show_tells_all_of_one_event_and_its_replays(database_url: str, database: asyncpg.Connection) -> None:
    for token in ("first", "second"):
        await outbox(database_url, "replay", "--event-id", "dead_letter-2", "--replay-token", token, "--note", "n")
        await database.execute("UPDATE outbox_events SET status = 'dead_letter' WHERE event_id = 'dead_letter-2'")
    found = await as_json(database_url, "show", "dead_letter-2")
    assert (found["session_id"], found["status"], found["last_error"]) == ("s2", "dead_letter", "WRONGTYPE a key")
    assert [(replay["replay_token"], replay["previous_attempts"]) for replay in found["replays"]] == [
        ("first", 12),
        ("second", 0),
    ]
    said = await outbox(database_url, "show", "dead_letter-2")
    assert "last_error        WRONGTYPE a key" in said.out
    assert "from dead_letter after 12 attempts, token first: n" in said.out


async def test_show_of_an_unknown_event_fails_with_its_id(database_url: str) -> None:
    said = await outbox(database_url, "show", "nobody")
    assert said.code == 1
    assert "nobody" in said.err


async def test_replay_takes_a_selector_a_limit_and_a_token(database_url: str, database: asyncpg.Connection) -> None:
    dry = await as_json(database_url, "replay", "--all", "--dry-run")
    assert (dry["selected"], dry["inserted"], dry["updated"]) == (3, 0, 0)
    assert await count(database, "failed") == 1
    token = ("--replay-token", "t")
    first = await as_json(database_url, "replay", "--all", "--limit", "2", *token)
    assert (first["selected"], first["inserted"], first["updated"]) == (2, 2, 2)
    rest = await as_json(database_url, "replay", "--session-id", "s2", *token)
    assert (rest["selected"], rest["inserted"], rest["updated"]) == (1, 1, 1)
    nothing = await as_json(database_url, "replay", "--all", *token)
    assert (nothing["selected"], nothing["inserted"], nothing["updated"]) == (0, 0, 0)
    assert await count(database, "dead_letter") == 0
    assert await database.fetchval("SELECT max(attempts) FROM outbox_events") == 0


async def test_a_token_moves_an_event_once_however_often_it_dies(
    database_url: str, database: asyncpg.Connection
) -> None:
    replay = ("replay", "--event-id", "dead_letter-2", "--replay-token")
    assert (await as_json(database_url, *replay, "t"))["updated"] == 1
    await database.execute("UPDATE outbox_events SET status = 'dead_letter' WHERE event_id = 'dead_letter-2'")
    again = await as_json(database_url, *replay, "t")
    assert (again["selected"], again["inserted"], again["updated"]) == (1, 0, 0)
    row = await database.fetchrow("SELECT status FROM outbox_events WHERE event_id = 'dead_letter-2'")
    assert row is not None
    assert row["status"] == "dead_letter"
    assert await database.fetchval("SELECT count(*) FROM outbox_replay_log") == 1
    assert (await as_json(database_url, *replay, "another"))["updated"] == 1


async def test_replay_says_when_there_may_be_more_and_when_nothing_was_moved(
    database_url: str, database: asyncpg.Connection
) -> None:
    assert "nothing was moved" in (await outbox(database_url, "replay", "--all", "--dry-run")).out
    assert "may be more" in (await outbox(database_url, "replay", "--all", "--limit", "2")).out
    assert "may be more" not in (await outbox(database_url, "replay", "--all", "--limit", "2")).out


async def test_a_database_without_the_schema_is_named(empty_database_url: str) -> None:
    said = await outbox(empty_database_url, "stats")
    assert (said.code, "uniassist db migrate" in said.err) == (1, True)


async def test_replay_can_keep_the_attempts(database_url: str, database: asyncpg.Connection) -> None:
    await outbox(database_url, "replay", "--event-id", "dead_letter-2", "--no-reset-attempts")
    row = await database.fetchrow("SELECT * FROM outbox_events WHERE event_id = 'dead_letter-2'")
    assert row is not None
    assert (row["status"], row["attempts"]) == ("failed", 12)
    assert row["next_retry_at"] <= dt.datetime.now(dt.UTC)


async def test_replays_at_the_same_time_move_each_event_once(
    database_url: str, database: asyncpg.Connection
) -> None:
    for n in range(200):
        await write(database, f"many-{n}", "many", "dead_letter", attempts=12)
    answers = await asyncio.gather(
        *(
            as_json(database_url, "replay", "--session-id", "many", "--limit", "200", "--replay-token", token)
            for token in ("a", "b", "a", "c")
        )
    )
    assert sum(answer["updated"] for answer in answers) == 200
    assert await database.fetchval("SELECT count(*) FROM outbox_replay_log") == 200


async def test_pause_and_resume_say_what_they_did(database_url: str, database: asyncpg.Connection) -> None:
    said = await outbox(database_url, "pause", "--reason", "moving Redis")
    assert (said.code, said.out[:12]) == (0, "paused since")
    since = await database.fetchval("SELECT paused_at FROM delivery_control")
    await outbox(database_url, "pause")
    assert await database.fetchval("SELECT paused_at FROM delivery_control") == since, "since the first time"
    await outbox(database_url, "pause", "--reason", "moving Redis")
    stats = await outbox(database_url, "stats")
    assert "PAUSED since" in stats.out
    assert next(line for line in stats.out.splitlines() if "PAUSED" in line).endswith(": moving Redis")
    assert (await as_json(database_url, "stats"))["paused"]["reason"] == "moving Redis"
    assert await as_json(database_url, "resume") == {"wasPaused": True}
    assert await as_json(database_url, "resume") == {"wasPaused": False}
    assert (await as_json(database_url, "stats"))["paused"] is None


async def test_watch_prints_a_line_a_look_where_there_is_no_terminal(
    database_url: str, database: asyncpg.Connection
) -> None:
    said = await outbox(database_url, "watch", "--interval", "0.1", "--for", "0.5")
    assert said.code == 0
    lines = said.out.splitlines()
    assert 2 <= len(lines) <= 6
    assert "pending 1  processing 1  failed 1  delivered 1  dead_letter 3" in lines[0]
    documents = [
        json.loads(line) for line in (await outbox(database_url, "watch", "--for", "0", "--json")).out.splitlines()
    ]
    assert documents == [
        {
            "states": {"pending": 1, "processing": 1, "failed": 1, "delivered": 1, "dead_letter": 3},
            "oldestPendingSeconds": documents[0]["oldestPendingSeconds"],
            "consumedPerSecond": 0,
            "workers": [],
            "paused": False,
        }
    ]


async def watching(database_url: str, out: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uniassist.cli.main", "outbox", "watch", "--interval", "0.1"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "TERM": "xterm", "COLUMNS": "80"},
    )


async def test_watch_at_a_terminal_fits_80_columns_and_ends_with_ctrl_c(
    database_url: str, database: asyncpg.Connection
) -> None:
    ours, theirs = pty.openpty()
    process = await watching(database_url, theirs)
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def screen() -> bool:
        with contextlib.suppress(BlockingIOError, OSError):
            seen.extend(os.read(ours, 65536))
        return b"Ctrl-C ends" in seen

    await eventually(screen, "the screen is drawn")
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    os.close(ours)
    assert (process.returncode, err) == (0, b"")
    text = seen.decode()
    assert "dead_letter" in text
    assert "no worker is alive" in text


async def test_watch_outlives_a_restart_of_postgres(own_postgres: EmbeddedPostgres) -> None:
    process = await watching(own_postgres.url, asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert b"pending 0" in await asyncio.wait_for(process.stdout.readline(), 20)
    await asyncio.to_thread(own_postgres.stop)
    await asyncio.to_thread(own_postgres.start)
    connection = await asyncpg.connect(own_postgres.url)
    await write(connection, "new", "s", "pending")
    await connection.close()

    async def sees_it() -> bool:
        assert process.stdout is not None
        return b"pending 1" in await process.stdout.readline()

    await asyncio.wait_for(eventually(sees_it, "it sees the new event"), 20)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("command", [("stats",), ("watch",), ("replay", "--all")])
async def test_a_database_that_is_away_is_one_line_without_its_password(command: tuple[str, ...]) -> None:
    said = await outbox("postgresql://user:topsecret@127.0.0.1:1/none", *command)
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "DATABASE_URL" in said.err
    assert "topsecret" not in said.err


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294276-12-31", "4713-01-01 BC"])
async def test_rows_of_any_time_are_counted_listed_and_shown(
    database_url: str, database: asyncpg.Connection, moment: str
) -> None:
    """An operator's rows may say that they were written at any time that Postgres knows."""
    await write(database, "odd", "s3", "failed")
    times = ("created_at", "next_retry_at", "locked_at", "delivered_at", "consumed_at", "updated_at")
    said_at = ", ".join(f"{name} = '{moment}'" for name in times)
    await database.execute(f"UPDATE outbox_events SET {said_at} WHERE event_id = 'odd'")
    stats = await as_json(database_url, "stats")
    assert stats["oldestUnconsumedSeconds"] == pytest.approx(3 * 3600, abs=60)
    listed = await as_json(database_url, "list", "--status", "failed")
    assert [row["event_id"] for row in listed] == ["failed-1", "odd"]
    shown = await as_json(database_url, "show", "odd")
    assert shown["created_at"].startswith(
        "0001-01-01" if moment in ("-infinity", "4713-01-01 BC") else "9999-12-31"
    )
    for arguments in (("stats",), ("list",), ("show", "odd")):
        said = await outbox(database_url, *arguments)
        assert (said.code, "inf" in said.out) == (0, False), said
