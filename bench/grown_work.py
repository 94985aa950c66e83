"""What a grown database is measured by: ingest, delivery's statements, reads, look-ups, the console, retention.

Each figure: CPU of the database's own backends, shared buffers touched, and time, for one operation.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from bench import filling
from bench.ingest import request
from bench.stage import Stage
from uniassist.gateway.turns.ids import new_id
from uniassist.store import console, delivery, outbox, settling, timeline
from uniassist.store.queries import statements
from uniassist.store.server import pool as pools
from uniassist.store.server.pool import Pool

SESSIONS = 2000
INPUTS = 1000
CONNECTIONS = 32
LOOKS = 300
_EPOCH = "0001790000000001-grown"
_BOUNDS = (0.05, 0.1, 1.0)


@dataclass
class Database:
    """One that is measured: its sessions known to both kinds of work, and the CPU of its own backends."""

    name: str
    server: psutil.Process
    watcher: asyncpg.Connection
    reading: Pool
    working: Pool
    gateway_url: str
    sessions: list[str]
    events: list[str]
    chance: float  # in percent, that a sample of sessions has three times as many as are wanted
    figures: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def cpu_ms(self) -> float:
        return backends_cpu_ms(self.server, self.name)

    async def buffers(self) -> int:
        """Of both pools, whose work is one after the other: on one connection of each."""
        for pool in (self.reading, self.working):
            await pool.execute("SELECT pg_stat_force_next_flush()")
        await self.watcher.execute("SELECT pg_stat_clear_snapshot()")
        return int(
            await self.watcher.fetchval(
                "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"
            )
        )

    async def measure(self, what: str, work: Callable[[], Awaitable[int]]) -> None:
        """`work` answers how many operations it made."""
        buffers, cpu, logged, began = await self.buffers(), self.cpu_ms(), await wal(self.watcher), time.monotonic()
        done = await work()
        taken, used = time.monotonic() - began, self.cpu_ms() - cpu
        touched, now_logged = await self.buffers() - buffers, await wal(self.watcher)
        each = {
            "cpu_ms": used / done,
            "buffers": touched / done,
            "ms": taken * 1000 / done,
            "wal": (now_logged.bytes - logged.bytes) / done,
            "full_pages": (now_logged.full_pages - logged.full_pages) / done,
        }
        self.figures.setdefault(what, []).append(each)

    async def strangers(self) -> list[str]:
        """Sessions that nobody has looked at for long."""
        rows = await self.watcher.fetch(
            f"SELECT session_id FROM sessions TABLESAMPLE SYSTEM ({self.chance / 3}) WHERE seq >= 40 "
            f"ORDER BY random() LIMIT {LOOKS}"
        )
        return [row["session_id"] for row in rows]


def backends_cpu_ms(server: psutil.Process, database: str) -> float:
    """Of the sessions that are open on a database, by the scheduler's own count, which is in nanoseconds."""
    total = 0.0
    for child in server.children():
        try:
            if f" {database} " in " ".join(child.cmdline()) + " ":
                total += int(Path(f"/proc/{child.pid}/schedstat").read_text("utf-8").split()[0]) / 1e6
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            continue
    return total


@dataclass(frozen=True)
class Wal:
    bytes: int
    full_pages: int


async def wal(watcher: asyncpg.Connection) -> Wal:
    await watcher.execute("SELECT pg_stat_force_next_flush()")
    row = await watcher.fetchrow(
        "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS bytes, wal_fpi FROM pg_stat_wal"
    )
    assert row is not None
    return Wal(row["bytes"], row["wal_fpi"])


async def opened(stage: Stage, name: str) -> Database:
    """Its sample of sessions was used a moment ago, so that an input goes on with them."""
    url = stage.postgres.url_for(name)
    watcher = await asyncpg.connect(url)
    chance = max(1.0, min(100.0, 100.0 * 3 * SESSIONS / await watcher.fetchval("SELECT count(*) FROM sessions")))
    rows = await watcher.fetch(
        f"SELECT session_id FROM sessions TABLESAMPLE BERNOULLI ({chance}) WHERE seq >= 40 ORDER BY random() "
        f"LIMIT {SESSIONS}"
    )
    sessions = [row["session_id"] for row in rows]
    await watcher.execute("UPDATE sessions SET last_activity_at = now() WHERE session_id = ANY ($1)", sessions)
    events = await watcher.fetch(
        "SELECT event_id FROM timeline_events WHERE session_id = ANY ($1) AND seq = 5", sessions[:LOOKS]
    )
    _, gateway_url = stage.start("gateway", url, GATEWAY_RATE_LIMIT_PER_USER="0")
    working = await delivery.create_pool(url)
    await delivery.heartbeat(working, "grown", lease_seconds=7200, epoch=None, take=True, per_second=0)
    await settling.mark(working, settling.Shards("grown", range(32), _EPOCH))
    reading = await pools.create_pool(url, application_name="grown-reader", max_size=1)
    return Database(
        name,
        psutil.Process(stage.postgres.process.pid),
        watcher,
        reading,
        working,
        gateway_url,
        sessions,
        [row["event_id"] for row in events],
        chance,
    )


async def round_of(database: Database, number: int) -> None:
    chosen = random.Random(number).sample(database.sessions, LOOKS)
    await database.measure(
        "ingest: into sessions of all times", lambda: _ingest(database, number, database.sessions)
    )
    await database.measure("claim, deliver, confirm: event", lambda: _deliver(database))
    # A day's new sessions, whose ids are at random, or begin with the time.
    fresh = [uuid.uuid4().hex for _ in range(INPUTS // 2)]
    await database.measure("ingest: new sessions, ids at random", lambda: _ingest(database, number, fresh))
    await _deliver(database)
    timed = [new_id() for _ in range(INPUTS // 2)]
    await database.measure("ingest: new sessions, ids by time", lambda: _ingest(database, number, timed))
    await database.measure("claim, deliver, confirm: event, ids by time", lambda: _deliver(database))
    strangers = await database.strangers()
    for what, work in _looks(database, chosen, strangers).items():
        await database.measure(what, work)


def _looks(
    database: Database, chosen: Sequence[str], strangers: Sequence[str]
) -> dict[str, Callable[[], Awaitable[int]]]:
    pool = database.reading
    last = filling.LONG_INPUTS * filling.EVENTS_OF_AN_INPUT

    def each(look: Callable[[str], Awaitable[Any]], values: Sequence[str] = chosen) -> Callable[[], Awaitable[int]]:
        async def all_of() -> int:
            for value in values:
                await look(value)
            return len(values)

        return all_of

    cursors = dict.fromkeys(database.sessions, 40)
    ledger, gateway = statements("ledger"), statements("gateway")
    return {
        "timeline: whole session of 40": each(lambda s: timeline.read(pool, s, 0)),
        "timeline: whole session of 40, long not read": each(lambda s: timeline.read(pool, s, 0), strangers),
        "timeline: first 10 events": each(lambda s: timeline.read(pool, s, 0, 10)),
        "timeline: nothing new": each(lambda s: timeline.read(pool, s, 1_000_000)),
        "timeline: first 1,000 of 10,000": each(lambda s: timeline.read(pool, s, 0), [filling.LONG] * 5),
        "timeline: last 1,000 of 10,000": each(lambda s: timeline.read(pool, s, last - 1000), [filling.LONG] * 5),
        "session: known": each(lambda s: timeline.known(pool, [s], subject=None)),
        "session: newest of a user": each(
            lambda s: timeline.latest_session(pool, f"u-{s}", "builtin_chat", proven=False)
        ),
        "session: its line": each(lambda s: pool.fetch(*ledger["newest_sessions"](session_ids=[s]))),
        "session: last shown": each(
            lambda s: pool.fetch(*gateway["last_shown"](session_id=s, user_id=f"u-{s}", subject=None, limit=30))
        ),
        "hub: moved, of 2,000": each(lambda _: timeline.moved(pool, cursors), ["all"] * 10),
        "console: sessions": each(lambda _: console.sessions(pool, of=None, limit=50), ["all"] * 10),
        "console: an event": each(lambda e: console.find(pool, e), database.events),
        "console: the outbox": each(
            lambda _: console.list_outbox(pool, console.Filter(), before=None, limit=50), ["all"] * 10
        ),
        "console: delivery times": each(lambda _: console.delivery_times(pool), ["all"] * 10),
        "worker: heartbeat": each(
            lambda _: delivery.heartbeat(
                database.working, "grown", lease_seconds=7200, epoch=_EPOCH, take=True, per_second=0
            ),
            ["all"] * 50,
        ),
        "worker: backlog": each(lambda _: delivery.backlog(pool), ["all"] * 50),
    }


async def _ingest(database: Database, number: int, sessions: Sequence[str]) -> int:
    """A closed loop of CONNECTIONS over HTTP."""
    host, port = database.gateway_url.removeprefix("http://").split(":")
    turns = iter(range(INPUTS))

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for turn in turns:
            session = sessions[(number * INPUTS + turn * 7919) % len(sessions)]
            writer.write(request(session, f"g{number}-{turn}", "hello " + "x" * 180))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return INPUTS


async def _deliver(database: Database) -> int:
    """All that waits, by the worker's own functions, without Redis."""
    pool, done = database.working, 0
    rows = await database.watcher.fetch("SELECT shard, token FROM delivery_shards WHERE owner = 'grown'")
    held = {row["shard"]: row["token"] for row in rows}
    while claimed := await delivery.claim(pool, "grown", held, epoch=_EPOCH, limit=500):
        ids = [row.id for row in claimed]
        await delivery.deliver(pool, "grown", ids, epoch=_EPOCH)
        await delivery.ids_of(pool, [row.event_id for row in claimed])
        await delivery.consume(pool, ids, epoch=_EPOCH, consumer="grown", bounds=_BOUNDS)
        done += len(ids)
    return done


async def whole_tables(database: Database) -> None:
    """What reads all of the outbox, by design: a person asks."""
    await database.measure("outbox: counts", lambda: _once(outbox.counts(database.reading)))


async def _once(work: Awaitable[Any]) -> int:
    await work
    return 1
