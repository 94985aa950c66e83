"""Takes everything of a drill out of Postgres and Redis again, whatever became of its steps."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from uniassist.errors import ServerFault
from uniassist.release.checks.injected import DRILL_PREFIX
from uniassist.release.checks.stream_entries import since
from uniassist.release.checks.throwaway_system import literally, remove_keys
from uniassist.release.drill.drill import Drill
from uniassist.store import release as store
from uniassist.store.server import pool
from uniassist.streams.client import Redis, connect
from uniassist.streams.outage import CommandRejected, GroupExists

CLEAN_SECONDS = 40.0
# A worker that is alive has an event in its hands for milliseconds, a dead one until its lease ends.
HELD_SECONDS = 25.0


@dataclass
class Cleaned:
    """What was removed; `left` says what could not be, and how to do it by hand."""

    events: int = 0
    replays: int = 0
    entries: int = 0
    keys: int = 0
    group_restored: bool = False
    left: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        removed = (
            f"removed {self.events} outbox rows, {self.replays} replay log rows, {self.entries} entries of the "
            f"global stream, {self.keys} keys"
        )
        group = "; made the consumer group again" if self.group_restored else ""
        return f"{removed}{group}; left: {'; '.join(self.left) or 'nothing'}"


async def clean_up(drill: Drill, begun_ms: int) -> Cleaned:
    """Never raises for an outage: what is left is said. `begun_ms`: Redis's clock before the first injection."""
    cleaned = Cleaned()
    end = time.monotonic() + CLEAN_SECONDS
    while True:  # ends: with the deadline
        try:
            async with asyncio.timeout(max(1.0, end - time.monotonic())):
                await _clean_postgres(drill, cleaned)
            break
        except (ServerFault, TimeoutError) as error:
            if time.monotonic() + 1.0 > end:
                cleaned.left.append(f"rows in Postgres ({type(error).__name__}); the next drill removes them")
                break
            await asyncio.sleep(0.5)  # the server may come back; only asking it tells
    try:
        async with asyncio.timeout(CLEAN_SECONDS):
            await _clean_redis(drill, begun_ms, cleaned)
    except (ServerFault, TimeoutError) as error:
        cleaned.left.append(f"keys in Redis ({type(error).__name__}); the next drill removes them")
    return cleaned


async def _clean_postgres(drill: Drill, cleaned: Cleaned) -> None:
    connection = await pool.connect(drill.target.database_url)
    try:
        every = sorted(
            {*drill.event_ids, *await store.events_like(connection, DRILL_PREFIX)}
        )  # of a drill that was killed, too
        end = time.monotonic() + HELD_SECONDS
        while True:  # ends: with the deadline
            cleaned.events += await store.remove_events(connection, every)
            if not (held := await store.count_events(connection, every)):
                break
            if time.monotonic() > end:
                cleaned.left.append(f"{held} outbox rows that a worker holds")
                break
            await asyncio.sleep(0.1)  # a worker lets go of them when it is done
        cleaned.replays += await store.remove_replays(connection, DRILL_PREFIX)
    finally:
        await connection.close()


async def _clean_redis(drill: Drill, begun_ms: int, cleaned: Cleaned) -> None:
    target = drill.target
    async with connect(target.redis_url, lane=target.lane, answer_seconds=10.0) as redis:
        cleaned.entries += await _remove_entries(redis, target.global_key, begun_ms)
        try:
            await redis.xgroup_create(target.global_key, target.group, id="0")
            cleaned.group_restored = True  # no worker did it; from the beginning, so that nothing is skipped
        except GroupExists:
            pass
        except CommandRejected:
            if await redis.exists(target.global_key):
                raise
    # Those of this system only: another one on the same Redis may be drilled right now.
    streams = (f"{literally(name)}*{DRILL_PREFIX}" for name in (target.prefix, target.global_key))
    for part in (*streams, drill.name):
        cleaned.keys += await remove_keys(target.redis_url, part)


async def _remove_entries(redis: Redis, key: str, begun_ms: int) -> int:
    removed = 0
    async for page in since(redis, key, begun_ms):
        found = [entry_id for entry_id, event_id in page if event_id.startswith(DRILL_PREFIX)]
        if found:
            removed += await redis.xdel(key, *found)
    return removed
