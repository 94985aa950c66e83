"""Entries of a stream, by the event that each carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias, cast

from uniassist.streams.client import Redis
from uniassist.streams.outage import CommandRejected

PAGE = 1000
# redis-py's own types cover both protocols and both modes; this client has bytes and RESP 2.
_Raw: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]
Entry: TypeAlias = tuple[bytes, str]


async def newest(redis: Redis, key: str, count: int) -> list[Entry]:
    """The last `count`, newest first."""
    return _shaped(cast(_Raw, await redis.xrevrange(key, count=count)))


async def since(redis: Redis, key: str, begun_ms: int) -> AsyncIterator[list[Entry]]:
    """All that were added from `begun_ms` of Redis's clock on, in pages."""
    after = f"{begun_ms}-0"
    while page := cast(_Raw, await redis.xrange(key, min=after, count=PAGE)):  # ends: each starts behind the last
        yield _shaped(page)
        after = f"({page[-1][0].decode()}"


async def groups(redis: Redis, key: str) -> list[str]:
    """The consumer groups of a stream; none when there is no such stream."""
    try:
        found = await redis.xinfo_groups(key)
    except CommandRejected:
        if await redis.exists(key):
            raise
        return []
    return [group["name"].decode("utf-8", "replace") for group in found]


async def consumers(redis: Redis, key: str, group: str) -> dict[str, int]:
    """The group's consumers: for how many ms each has not asked for anything."""
    found = await redis.xinfo_consumers(key, group)
    return {consumer["name"].decode("utf-8", "replace"): int(consumer["idle"]) for consumer in found}


async def clock_ms(redis: Redis) -> int:
    seconds, microseconds = await redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def _shaped(page: _Raw) -> list[Entry]:
    return [(entry_id, fields.get(b"eventId", b"").decode("utf-8", "replace")) for entry_id, fields in page]
