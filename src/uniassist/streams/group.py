"""The worker's consumer group on the global stream: read, acknowledge, claim what dead consumers left, trim."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

IDLE_GROUP_MS = 24 * 60 * 60 * 1000
# redis-py's own types cover both protocols and both modes; this client has bytes and RESP 2.
_Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes] | None]]


@dataclass(frozen=True)
class Read:
    """An entry of the group; `event_id` None: the entry was deleted, or isn't one of ours."""

    entry_id: bytes
    event_id: str | None
    payload_bytes: int
    traceparent: str | None = None


@dataclass(frozen=True)
class Trimmed:
    """Entries removed, and groups idle for so long that the trimming no longer waits for them."""

    removed: int
    idle_groups: list[str]


def is_no_group(error: ResponseError) -> bool:
    """NOGROUP is a code of the protocol: the group or the stream is gone."""
    return str(error).split(None, 1)[:1] == ["NOGROUP"]


class Group:
    """One consumer of one group. The consumer's name is stable over restarts, so that it finds its own entries."""

    def __init__(self, redis: Redis, *, key: str, name: str, consumer: str) -> None:
        self._redis = redis
        self.key = key
        self.name = name
        self.consumer = consumer

    async def ensure(self) -> bool:
        """Create the group, from the stream's beginning: nothing is skipped. True when it was missing."""
        try:
            await self._redis.xgroup_create(self.key, self.name, id="0", mkstream=True)
        except ResponseError as error:
            if str(error).split(None, 1)[:1] == ["BUSYGROUP"]:
                return False
            raise
        return True

    async def read_new(self, *, count: int, block_ms: int) -> list[Read]:
        return self._shaped(
            await self._redis.xreadgroup(self.name, self.consumer, {self.key: ">"}, count=count, block=block_ms)
        )

    async def read_own_pending(self, *, after: bytes, count: int) -> list[Read]:
        """What this consumer read before and didn't acknowledge, with an id above `after`."""
        return self._shaped(await self._redis.xreadgroup(self.name, self.consumer, {self.key: after}, count=count))

    async def acknowledge(self, entry_ids: Sequence[bytes]) -> None:
        if entry_ids:
            await self._redis.xack(self.key, self.name, *entry_ids)

    async def claim_idle(self, *, idle_ms: int, count: int, limit: int) -> int:
        """Take over entries that other consumers left for `idle_ms`, at most `limit`; they are then own pending."""
        cursor: bytes | str = "0-0"
        claimed = 0
        while claimed < limit:  # ends: the cursor comes round to 0-0
            answer = cast(
                Sequence[Any],
                await self._redis.xautoclaim(
                    self.key, self.name, self.consumer, idle_ms, start_id=cursor, count=count, justid=False
                ),
            )
            cursor, entries = answer[0], answer[1]
            claimed += len(entries)
            if cursor in (b"0-0", "0-0"):
                break
        return claimed

    async def remove_idle_consumers(self, *, idle_ms: int) -> int:
        """Forget consumers that hold nothing and were not heard of for `idle_ms`."""
        removed = 0
        if not await self._redis.exists(self.key):
            return removed
        for consumer in await self._redis.xinfo_consumers(self.key, self.name):
            name = consumer["name"].decode("utf-8", "replace")
            if name != self.consumer and consumer["pending"] == 0 and consumer["idle"] > idle_ms:
                await self._redis.xgroup_delconsumer(self.key, self.name, name)
                removed += 1
        return removed

    async def has_read_all(self) -> bool:
        """Whether the group has nothing left to read and nothing pending."""
        if not await self._redis.exists(self.key):
            return False
        stream = await self._redis.xinfo_stream(self.key)
        for group in await self._redis.xinfo_groups(self.key):
            if group["name"] == self.name.encode():
                is_at_end: bool = group["last-delivered-id"] == stream["last-generated-id"]
                return is_at_end and group["pending"] == 0
        return False

    async def trim(self) -> Trimmed:
        """Drop what every group has consumed: below the lowest pending, else up to the last delivered entry.

        Nothing while the own group is missing: whoever creates it anew reads from the beginning.
        """
        if not await self._redis.exists(self.key):
            return Trimmed(0, [])
        keep_from: dict[str, tuple[int, int]] = {}
        idle_groups: list[str] = []
        for group in await self._redis.xinfo_groups(self.key):
            name = group["name"].decode("utf-8", "replace")
            if name != self.name and await self._is_idle(name, group["last-delivered-id"]):
                idle_groups.append(name)
                continue
            keep_from[name] = await self._needed_from(name, group["last-delivered-id"])
        if self.name not in keep_from:
            return Trimmed(0, idle_groups)
        ms, number = min(keep_from.values())
        removed: int = await self._redis.xtrim(self.key, minid=f"{ms}-{number}", approximate=True)
        return Trimmed(removed, idle_groups)

    async def _needed_from(self, name: str, last_delivered: bytes) -> tuple[int, int]:
        pending = await self._redis.xpending(self.key, name)
        if pending["pending"]:
            return _number(pending["min"])
        ms, number = _number(last_delivered)
        return ms, number + 1

    async def _is_idle(self, name: str, last_delivered: bytes) -> bool:
        consumers = await self._redis.xinfo_consumers(self.key, name)
        if consumers:
            return all(consumer["idle"] > IDLE_GROUP_MS for consumer in consumers)
        # A group that nobody has read from yet may be an hour old: its position tells only when it has one.
        ms, _ = _number(last_delivered)
        return 0 < ms < time.time() * 1000 - IDLE_GROUP_MS

    def _shaped(self, answer: object) -> list[Read]:
        streams = cast("list[tuple[bytes, _Entries]]", answer or [])
        return [_read(entry_id, fields or {}) for _, entries in streams for entry_id, fields in entries]


def _read(entry_id: bytes, fields: dict[bytes, bytes]) -> Read:
    try:
        event_id = fields.get(b"eventId", b"").decode("utf-8") or None
    except UnicodeDecodeError:
        event_id = None
    trace = fields.get(b"traceparent")
    traceparent = trace.decode("ascii", "replace") if trace else None
    return Read(entry_id, event_id, len(fields.get(b"payload", b"")), traceparent)


def _number(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)
