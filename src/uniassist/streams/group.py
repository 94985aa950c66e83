"""The worker's consumer group on the global stream: read, acknowledge, claim what dead consumers left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from uniassist.streams.outage import GroupExists, fault_of

# adapter-wechat's on the same stream.
WECHAT_GROUP = "ua-wechat"
# redis-py's own types cover both protocols and both modes; this client has bytes and RESP 2.
_Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes] | None]]


class Read(NamedTuple):
    """An entry of the group; `event_id` None: the entry was deleted, or isn't one of ours.

    `epoch`: the name of the one that it was published in; empty when it doesn't say, as those of older workers.
    """

    entry_id: bytes
    event_id: str | None
    payload_bytes: int
    epoch: str = ""
    traceparent: str | None = None


class StreamGone(Exception):
    """There is no stream; only whoever begins an epoch makes it (see begin.lua)."""


class Group:
    """One consumer of one group. The consumer's name is stable over restarts, so that it finds its own entries."""

    def __init__(self, redis: Redis, *, key: str, name: str, consumer: str) -> None:
        self._redis = redis
        self.key = key
        self.name = name
        self.consumer = consumer

    async def ensure(self) -> bool:
        """Create the group, from the stream's beginning: nothing is skipped. True when it was missing.

        StreamGone when there is no stream.
        """
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.exists(self.key)
            pipeline.xgroup_create(self.key, self.name, id="0")
            has_stream, created = await pipeline.execute(raise_on_error=False)
        if not has_stream:
            raise StreamGone(self.key)
        if isinstance(created, RedisError):
            fault = fault_of(created)
            if not isinstance(fault, GroupExists):
                raise fault from created
            return False
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

    async def stuck(self, *, idle_ms: int) -> dict[str, bytes]:
        """The first entry of each other consumer that holds any, but for those that are idle, as Redis says."""
        found = {}
        for consumer in await self._redis.xinfo_consumers(self.key, self.name):
            name = consumer["name"].decode("utf-8", "surrogateescape")
            if name != self.consumer and consumer["pending"] and consumer["idle"] < idle_ms:
                for entry in await self._pending_of(name, 1):
                    found[name] = entry
        return found

    async def claim_of(self, consumer: str, *, count: int) -> int:
        """Take over entries of one consumer, however long it has had them; how many."""
        entries = await self._pending_of(consumer, count)
        if entries:
            await self._redis.xclaim(self.key, self.name, self.consumer, 0, list(entries), justid=True)
        return len(entries)

    async def _pending_of(self, consumer: str, count: int) -> list[bytes]:
        named = cast(str, consumer.encode("utf-8", "surrogateescape"))  # it takes bytes as well
        found = await self._redis.xpending_range(self.key, self.name, "-", "+", count, consumername=named)
        return [cast(bytes, entry["message_id"]) for entry in found]

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

    def _shaped(self, answer: object) -> list[Read]:
        streams = cast("list[tuple[bytes, _Entries]]", answer or [])
        return [_read(entry_id, fields or {}) for _, entries in streams for entry_id, fields in entries]


def _read(entry_id: bytes, fields: dict[bytes, bytes]) -> Read:
    try:
        event_id = fields.get(b"eventId", b"").decode("utf-8") or None
    except UnicodeDecodeError:
        event_id = None
    epoch = fields.get(b"epoch", b"").decode("ascii", "replace")
    trace = fields.get(b"traceparent")
    traceparent = trace.decode("ascii", "replace") if trace else None
    return Read(entry_id, event_id, len(fields.get(b"payload", b"")), epoch, traceparent)
