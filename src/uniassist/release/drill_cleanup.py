"""Takes everything of a drill out of Postgres and Redis again, whatever became of its steps."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from uniassist.release.drill import PREFIX, Drill
from uniassist.release.entries import since
from uniassist.release.throwaway import literally, remove_keys
from uniassist.store import release as store

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
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            if time.monotonic() + 1.0 > end:
                cleaned.left.append(f"rows in Postgres ({type(error).__name__}); the next drill removes them")
                break
            await asyncio.sleep(0.5)
    try:
        async with asyncio.timeout(CLEAN_SECONDS):
            await _clean_redis(drill, begun_ms, cleaned)
    except (OSError, RedisError, TimeoutError) as error:
        cleaned.left.append(f"keys in Redis ({type(error).__name__}); the next drill removes them")
    return cleaned


async def _clean_postgres(drill: Drill, cleaned: Cleaned) -> None:
    connection = await asyncpg.connect(drill.target.database_url, timeout=5.0, command_timeout=30.0)
    try:
        every = sorted(
            {*drill.event_ids, *await store.events_like(connection, PREFIX)}
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
        cleaned.replays += await store.remove_replays(connection, PREFIX)
    finally:
        await connection.close(timeout=5.0)


async def _clean_redis(drill: Drill, begun_ms: int, cleaned: Cleaned) -> None:
    target = drill.target
    async with Redis.from_url(target.redis_url, socket_timeout=10.0, socket_connect_timeout=2.0) as redis:
        cleaned.entries += await _remove_entries(redis, target.global_key, begun_ms)
        try:
            await redis.xgroup_create(target.global_key, target.group, id="0")
            cleaned.group_restored = True  # no worker did it; from the beginning, so that nothing is skipped
        except ResponseError as error:
            if str(error).split(None, 1)[:1] != ["BUSYGROUP"] and await redis.exists(target.global_key):
                raise
    # Those of this system only: another one on the same Redis may be drilled right now.
    for part in (f"{literally(target.prefix)}*{PREFIX}", f"{literally(target.global_key)}*{PREFIX}", drill.name):
        cleaned.keys += await remove_keys(target.redis_url, part)


async def _remove_entries(redis: Redis, key: str, begun_ms: int) -> int:
    removed = 0
    async for page in since(redis, key, begun_ms):
        found = [entry_id for entry_id, event_id in page if event_id.startswith(PREFIX)]
        if found:
            removed += await redis.xdel(key, *found)
    return removed
