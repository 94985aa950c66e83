"""What must be so before a live drill touches anything: else it would test nothing, or somebody else's work."""

from __future__ import annotations

import asyncio
import time

from uniassist.errors import NoSchema
from uniassist.release.checks.stream_entries import consumers, groups
from uniassist.release.drill.target import DrillTarget
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.store import delivery
from uniassist.store import release as store
from uniassist.store.server.pool import Connection
from uniassist.streams.client import Redis
from uniassist.streams.group import WECHAT_GROUP

_LONGEST_READ_SECONDS = 6.0  # above STREAM_CONSUMER_BLOCK_MS, and what else a turn of the worker takes
_LOOK_SECONDS = 0.1


async def check(target: DrillTarget, connection: Connection, redis: Redis) -> None:
    """Refused with the variable's name and what was found."""
    try:
        if not await store.lock_drill(connection):
            raise Refused(ExitCode.LOCKED, "another drill runs on this database; wait until it has ended")
        await _check_not_paused(connection)
        await _check_group(target, connection, redis)
    except NoSchema as error:
        raise UsageRefused(f"DATABASE_URL: this is no database of UniAssist ({error})") from None


async def _check_not_paused(connection: Connection) -> None:
    control = await delivery.control(connection)
    if control is not None and control["paused_at"] is not None:
        since, why = control["paused_at"].isoformat(timespec="seconds"), control["reason"] or "no reason given"
        raise UsageRefused(
            f"delivery is paused since {since} by {control['paused_by']} ({why}), so nothing would recover; "
            "end the pause first: uniassist outbox resume"
        )


async def _check_group(target: DrillTarget, connection: Connection, redis: Redis) -> None:
    there = await groups(redis, target.global_key)
    if not there:
        raise UsageRefused(
            f"UNIASSIST_STREAM_GLOBAL_KEY: no consumer group reads {target.global_key} on this Redis; no worker "
            "uses this stream, so the drill would test nothing"
        )
    used = await _groups_of_workers(target.global_key, there, connection, redis)
    if target.group not in there or (used and target.group not in used):
        right = used or there
        raise UsageRefused(
            f"UNIASSIST_STREAM_GROUP={target.group}: not the worker's consumer group, so the drill would test "
            f"nothing; the worker of this database uses {' or '.join(right)}"
            + (f": set UNIASSIST_STREAM_GROUP={right[0]}" if len(right) == 1 else "")
        )
    if len(used) > 1:
        raise UsageRefused(
            f"UNIASSIST_STREAM_GROUP: the workers of this database read in {len(used)} groups, {', '.join(used)}, "
            "so what a drill does to one is hidden by another; give all of them the same, and destroy the others: "
            f"XGROUP DESTROY {target.global_key} GROUP"
        )


async def _groups_of_workers(key: str, there: list[str], connection: Connection, redis: Redis) -> list[str]:
    """Those of the groups `there` that a living worker of this database reads.

    A worker that was given another group leaves a consumer of its name in the old one: only who asks again counts.
    A server that doesn't tell (before Redis 7.2 the wait for entries doesn't count as asking) leaves the names.
    """
    alive = {worker.rsplit(":", 2)[0] for worker in await store.live_workers(connection)}
    before = {group: await _idle_ms(redis, key, group, alive) for group in there}
    named = [group for group in there if before[group] and group != WECHAT_GROUP]
    read: set[str] = set()
    ends = time.monotonic() + _LONGEST_READ_SECONDS
    while len(read) < len(named) and time.monotonic() < ends:
        await asyncio.sleep(_LOOK_SECONDS)
        for group in named:
            now = await _idle_ms(redis, key, group, alive)
            if any(now.get(name, was) < was for name, was in before[group].items()):
                read.add(group)
            before[group] = now
    return [group for group in named if group in read] or named


async def _idle_ms(redis: Redis, key: str, group: str, alive: set[str]) -> dict[str, int]:
    return {name: idle for name, idle in (await consumers(redis, key, group)).items() if name in alive}
