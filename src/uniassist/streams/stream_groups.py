"""Every consumer group on a stream: what it still needs of it, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from redis.asyncio import Redis

IDLE_GROUP_MS = 24 * 60 * 60 * 1000
Position: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class OtherConsumer:
    """`idle_ms`: since it last asked for anything, as far as the server tells."""

    name: str
    pending: int
    idle_ms: int


@dataclass(frozen=True)
class GroupPosition:
    """A group, and what it waits for.

    `needed_from`: the lowest entry that it hasn't acknowledged, or wasn't given.
    `held_entry`, `held_seconds`: the first such entry on the stream, and its age; None and 0 when there is none.
    `is_idle`: nobody has asked for a day.
    """

    name: str
    pending: int
    consumers: Sequence[OtherConsumer]
    needed_from: Position
    held_entry: str | None
    held_seconds: float
    is_idle: bool


@dataclass(frozen=True)
class StreamGroups:
    """`now_ms` by the server's clock, as ids on the global stream are."""

    entries: int = 0
    now_ms: int = 0
    groups: Sequence[GroupPosition] = field(default_factory=tuple)

    def position_of(self, name: str) -> GroupPosition | None:
        return next((group for group in self.groups if group.name == name), None)

    @property
    def holding(self) -> GroupPosition | None:
        """The one that holds trimming up: of those that are waited for, the one with the oldest entry."""
        held = [group for group in self.groups if group.held_entry is not None and not group.is_idle]
        return min(held, key=lambda group: group.needed_from, default=None)


async def look(redis: Redis, key: str) -> StreamGroups:
    """Some calls for each group. Empty when there is no stream."""
    if not await redis.exists(key):
        return StreamGroups()
    stream = await redis.xinfo_stream(key)
    seconds, microseconds = await redis.time()
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    first = _first_of(stream)
    groups = [await _position(redis, key, found, first, now_ms) for found in await redis.xinfo_groups(key)]
    return StreamGroups(int(stream["length"]), now_ms, groups)


def text_of(position: Position) -> str:
    return f"{position[0]}-{position[1]}"


def _first_of(stream: Mapping[str, Any]) -> Position:
    entry = stream["first-entry"]
    return _number(entry[0]) if entry else _after(_number(stream["last-generated-id"]))


async def _position(
    redis: Redis, key: str, found: Mapping[str, Any], first: Position, now_ms: int
) -> GroupPosition:
    name = found["name"].decode("utf-8", "replace")
    consumers = [
        OtherConsumer(consumer["name"].decode("utf-8", "replace"), int(consumer["pending"]), int(consumer["idle"]))
        for consumer in await redis.xinfo_consumers(key, found["name"])
    ]
    delivered = _number(found["last-delivered-id"])
    needed_from = await _lowest_pending(redis, key, found, first) or _after(delivered)
    entries = cast("list[tuple[bytes, object]]", await redis.xrange(key, min=text_of(needed_from), count=1))
    held = _number(entries[0][0]) if entries else None
    return GroupPosition(
        name=name,
        pending=int(found["pending"]),
        consumers=consumers,
        needed_from=needed_from,
        held_entry=text_of(held) if held else None,
        held_seconds=max(0.0, (now_ms - held[0]) / 1000) if held else 0.0,
        is_idle=_is_idle(consumers, delivered, now_ms),
    )


async def _lowest_pending(redis: Redis, key: str, found: Mapping[str, Any], first: Position) -> Position | None:
    """Of those that are on the stream: what was trimmed away, nobody can hold up."""
    if not found["pending"]:
        return None
    pending = await redis.xpending_range(key, found["name"], min=text_of(first), max="+", count=1)
    return _number(cast(bytes, pending[0]["message_id"])) if pending else None


def _is_idle(consumers: Sequence[OtherConsumer], delivered: Position, now_ms: int) -> bool:
    if consumers:
        return all(consumer.idle_ms > IDLE_GROUP_MS for consumer in consumers)
    # A group that nobody has read from yet may be an hour old: its position tells only when it has one.
    return 0 < delivered[0] < now_ms - IDLE_GROUP_MS


def _after(position: Position) -> Position:
    return position[0], position[1] + 1


def _number(entry_id: bytes) -> Position:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)
