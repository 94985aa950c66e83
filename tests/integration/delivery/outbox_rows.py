"""What the gateway and operators write, and what the worker made of it, seen in Postgres and on the streams."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from tests.waiting import eventually

PREFIX = "uniassist:timeline:"
GLOBAL = f"{PREFIX}all"
GROUP = "ua-delivery"

_INSERT_TURN = """
WITH event AS (
    SELECT * FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS e (event_id, seq, position)
), timeline AS (
    INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)
    SELECT event_id, 'trace', $1, 'user', seq, 1700000000000, 'interaction', '{"source": "system"}'
    FROM event ORDER BY position
)
INSERT INTO outbox_events (event_id, session_id) SELECT event_id, $1 FROM event ORDER BY position
"""


@dataclass(frozen=True)
class StreamEntry:
    entry_id: str
    fields: dict[str, str]

    @property
    def event_id(self) -> str:
        return self.fields["eventId"]

    @property
    def number(self) -> tuple[int, int]:
        milliseconds, _, sequence = self.entry_id.partition("-")
        return int(milliseconds), int(sequence)


class Outbox:
    """One database and one Redis, as a test looks at them."""

    def __init__(self, pool: asyncpg.Pool, redis: Redis) -> None:
        self.pool = pool
        self.redis = redis

    async def write_turn(self, session_id: str, events: int) -> list[str]:
        """As the gateway does: seq under the session's row lock, timeline and outbox in one transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO sessions (session_id, user_id) VALUES ($1, 'user') ON CONFLICT DO NOTHING", session_id
            )
            seq = await connection.fetchval("SELECT seq FROM sessions WHERE session_id = $1 FOR UPDATE", session_id)
            ids = [f"{session_id}/{n}/{uuid.uuid4().hex[:8]}" for n in range(seq + 1, seq + events + 1)]
            await connection.execute(_INSERT_TURN, session_id, ids, list(range(seq + 1, seq + events + 1)))
            await connection.execute("UPDATE sessions SET seq = $2 WHERE session_id = $1", session_id, seq + events)
        return ids

    async def write_bare(self, event_id: str, session_id: str, payload: Any = None, **columns: Any) -> None:
        """The contract's INSERT of an operator; `columns` further ones, by name."""
        names = ["event_id", "session_id", "payload", *columns]
        values = [event_id, session_id, json.dumps(payload or {}), *columns.values()]
        places = ", ".join(f"${n}" for n in range(1, len(names) + 1))
        await self.pool.execute(f"INSERT INTO outbox_events ({', '.join(names)}) VALUES ({places})", *values)

    async def write_many(self, sessions: int, events: int, *, prefix: str = "many") -> None:
        """`events` events in each of `sessions` sessions, their turns interleaved, in few statements."""
        await self.pool.execute(
            "INSERT INTO sessions (session_id, user_id, seq) "
            "SELECT $1 || '-' || s, 'user', $3 FROM generate_series(1, $2::integer) s",
            prefix,
            sessions,
            events,
        )
        async with self.pool.acquire() as connection, connection.transaction():
            for table, names, values in (
                (
                    "timeline_events",
                    "event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload",
                    "'trace', $1 || '-' || s, 'user', n, 1700000000000, 'interaction', '{}'::jsonb",
                ),
                ("outbox_events", "event_id, session_id", "$1 || '-' || s"),
            ):
                await connection.execute(
                    f"INSERT INTO {table} ({names}) SELECT $1 || '-' || s || '/' || n, {values} "
                    "FROM generate_series(1, $3::integer) n, generate_series(1, $2::integer) s ORDER BY n, s",
                    prefix,
                    sessions,
                    events,
                )

    async def row(self, event_id: str) -> asyncpg.Record:
        found = await self.pool.fetchrow("SELECT * FROM outbox_events WHERE event_id = $1", event_id)
        assert found is not None, event_id
        return found

    async def states(self) -> Counter[str]:
        rows = await self.pool.fetch("SELECT status, count(*) AS n FROM outbox_events GROUP BY status")
        return Counter({row["status"]: row["n"] for row in rows})

    async def in_state(self, event_id: str, state: str, deadline_seconds: float = 20.0) -> asyncpg.Record:
        async def row() -> asyncpg.Record | None:
            found = await self.row(event_id)
            return found if found["status"] == state else None

        return await eventually(row, f"{event_id} is {state}", deadline_seconds)

    async def all_consumed(self, deadline_seconds: float = 30.0) -> None:
        async def done() -> bool:
            left = await self.pool.fetchval("SELECT count(*) FROM outbox_events WHERE status <> 'consumed'")
            return bool(left == 0)

        try:
            await eventually(done, "every event is consumed", deadline_seconds, 0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}; {dict(await self.states())}") from None

    async def stream(self, key: str) -> list[StreamEntry]:
        entries = cast(list[tuple[bytes, dict[bytes, bytes]]], await self.redis.xrange(key))
        return [
            StreamEntry(entry_id.decode(), {name.decode(): value.decode() for name, value in fields.items()})
            for entry_id, fields in entries
        ]

    async def session_stream(self, session_id: str) -> list[StreamEntry]:
        return await self.stream(f"{PREFIX}{session_id}")

    async def check_session_streams(self, *, complete: bool = True) -> int:
        """Each session stream holds events of its session in seq order, each once, under `<seq>-0`.

        `complete`: all of them, which holds as long as Redis keeps its data. Returns how many streams there are.
        """
        rows = await self.pool.fetch("SELECT event_id, session_id, seq FROM timeline_events ORDER BY seq")
        seqs: dict[str, dict[str, int]] = {}
        for row in rows:
            seqs.setdefault(row["session_id"], {})[row["event_id"]] = row["seq"]
        keys = [key.decode() async for key in self.redis.scan_iter(match=f"{PREFIX}*", count=1000)]
        sessions = {key.removeprefix(PREFIX) for key in keys if key != GLOBAL}
        for session_id in sessions:
            entries = await self.session_stream(session_id)
            found = [seqs[session_id][entry.event_id] for entry in entries]
            assert found == sorted(set(found)), f"{session_id}: {_first_break(found)}"
            assert [entry.entry_id for entry in entries] == [f"{seq}-0" for seq in found], session_id
            if complete:
                assert len(found) == len(seqs[session_id]), f"{session_id}: {len(found)} of {len(seqs[session_id])}"
        assert not complete or sessions == set(seqs)
        return len(sessions)


@asynccontextmanager
async def opened(database_url: str, redis_url: str) -> AsyncIterator[Outbox]:
    # A test that restarts Redis has broken connections in its own pool.
    redis = Redis.from_url(redis_url, socket_timeout=10.0, retry=Retry(NoBackoff(), 3))
    async with asyncpg.create_pool(database_url, min_size=0, max_size=8, command_timeout=60) as pool:
        try:
            yield Outbox(pool, redis)
        finally:
            await redis.aclose()


def metric(text: str, name: str, **labels: str) -> float:
    """A sample's value in Prometheus text; AssertionError when it isn't there."""
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    sample = re.escape(f"{name}{{{wanted}}}" if labels else name)
    found = re.search(rf"^{sample} (\S+)$", text, re.MULTILINE)
    assert found is not None, f"no sample {name}{labels or ''}"
    return float(found[1])


def _first_break(seqs: Sequence[int]) -> str:
    for at in range(1, len(seqs)):
        if seqs[at] <= seqs[at - 1]:
            return f"seqs {seqs[max(0, at - 3) : at + 3]} at {at}"
    return "in order"
