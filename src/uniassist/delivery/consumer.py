"""The consumer: reads the group's entries and hands them to the completions; claims what dead consumers left."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog

from uniassist.delivery.batches import ReadSize
from uniassist.delivery.completions import Completions
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.delivery.stream_owner import StreamOwner
from uniassist.lifecycle import Loop
from uniassist.streams.group import Group, Read, StreamGone
from uniassist.streams.outage import NoGroup

log = structlog.get_logger()

CLAIM_IDLE_MS = 5_000
CLAIM_EVERY_SECONDS = 2.0
# For a while after shards were taken, since their former owner may have died with entries in its hands.
LEFT_IDLE_MS = 1_200
LEFT_EVERY_SECONDS = 0.4
LEFT_SECONDS = 8.0
CLAIM_COUNT = 16  # they come with their payloads
CLAIM_LIMIT = 10_000
# Whoever begins an epoch makes the stream, and wakes this worker's reader.
WITHOUT_STREAM_SECONDS = 1.0


class Consumer:
    """One group reader. A missing group is created from the stream's beginning, so that nothing is skipped.

    A missing stream is an epoch that ended: `on_stream_gone` hears of it, and reading waits for the next one.
    """

    def __init__(
        self,
        group: Group,
        completions: Completions,
        owner: StreamOwner,
        metrics: DeliveryMetrics,
        *,
        count: int,
        block_ms: int,
    ) -> None:
        self._group = group
        self._owner = owner
        self._completions = completions
        self._metrics = metrics
        self._size = ReadSize(count)
        self._block_ms = block_ms
        # Own pending entries are read again from here; None: none are left.
        self._own_after: bytes | None = b"0-0"
        self._has_read = False
        self._hurries_until = float("-inf")
        # Consumers that hold entries, by the first of them: since when.
        self._stuck: dict[tuple[str, bytes], float] = {}
        self.on_stream_gone: Callable[[], None] = lambda: None
        self.loop = Loop("consume", self._read_once)
        self.claiming = Loop("claim-idle", self._claim_once)

    async def _read_once(self) -> float:
        await self._owner.until_ours()
        await self._completions.room_to_read()
        try:
            if self._own_after is not None:
                await self._read_own(self._own_after)
            else:
                read = partial(self._group.read_new, count=self._size.now, block_ms=self._block_ms)
                # None: what was read in that moment is claimed by others, or by who comes in this one's place.
                await self._saw(await self.loop.unless_stopped(read) or [])
        except NoGroup:
            return await self._recover()
        except Exception:
            # The connection broke: entries read but not received are own pending now.
            self._own_after = b"0-0"
            raise
        return 0.0

    @property
    def group_name(self) -> str:
        return self._group.name

    def expect(self, heaviest_bytes: int) -> None:
        """The relay is about to publish entries, the heaviest of this weight."""
        self._size.expect(heaviest_bytes)

    def expect_left(self) -> None:
        """A worker is gone, or may be: what it had read is nobody's now."""
        self._hurries_until = time.monotonic() + LEFT_SECONDS
        self.claiming.wake()

    async def begin(self) -> None:
        """Read what a new epoch holds. StreamGone when it ended already."""
        await self._ensure_group()
        self.loop.wake()

    async def _recover(self) -> float:
        try:
            await self._ensure_group()
        except StreamGone:
            self.on_stream_gone()
            return WITHOUT_STREAM_SECONDS
        return 0.0

    async def _ensure_group(self) -> None:
        """Count it when it was there before."""
        if await self._group.ensure() and self._has_read:
            self._metrics.group_recoveries.inc()
            log.warning("consumer group created, reading from the beginning", group=self._group.name)
        self._own_after = b"0-0"

    async def _read_own(self, after: bytes) -> None:
        found = await self._group.read_own_pending(after=after, count=self._size.now)
        await self._saw(found)
        self._own_after = found[-1].entry_id if found else None

    async def _saw(self, found: list[Read]) -> None:
        """What was given while another database took the stream stays pending, for that one's workers to claim."""
        self._has_read = True
        if any(self._owner.is_foreign(entry.epoch) for entry in found) and not await self._owner.look():
            return
        self._size.saw(len(found), sum(entry.payload_bytes for entry in found))
        self._completions.seen(found)

    async def _claim_once(self) -> float:
        await self._owner.until_ours()
        hurries = time.monotonic() < self._hurries_until
        idle_ms, pause_seconds = (
            (LEFT_IDLE_MS, LEFT_EVERY_SECONDS) if hurries else (CLAIM_IDLE_MS, CLAIM_EVERY_SECONDS)
        )
        try:
            claimed = await self._group.claim_idle(idle_ms=idle_ms, count=CLAIM_COUNT, limit=CLAIM_LIMIT)
            claimed += await self._claim_stuck()
            if claimed:
                log.info("claimed entries of idle consumers", entries=claimed)
                await self._read_claimed()
        except NoGroup:
            pass  # the reader recovers it
        return pause_seconds

    async def _claim_stuck(self) -> int:
        """Redis tells by its wall clock how long an entry is idle; where that was set back, ours does."""
        now = time.monotonic()
        stuck = await self._group.stuck(idle_ms=CLAIM_IDLE_MS)
        self._stuck = {held: self._stuck.get(held, now) for held in stuck.items()}
        long_ago = now - CLAIM_IDLE_MS / 1000
        return sum(
            [
                await self._group.claim_of(consumer, count=CLAIM_LIMIT)
                for (consumer, _), since in self._stuck.items()
                if since < long_ago
            ]
        )

    async def _read_claimed(self) -> None:
        """At once: the reader may block until there is something new. What it has read itself is seen twice."""
        after = b"0-0"
        while found := await self._group.read_own_pending(after=after, count=self._size.now):  # ends: ids only rise
            await self._completions.room_to_read()
            await self._saw(found)
            after = found[-1].entry_id
