"""The consumer: reads the group's entries and hands them to the completions; claims what dead consumers left."""

from __future__ import annotations

import structlog
from redis.exceptions import ResponseError

from uniassist.delivery.batches import BatchSize
from uniassist.delivery.completions import Completions
from uniassist.delivery.figures import Figures
from uniassist.lifecycle import Loop
from uniassist.streams.group import Group, Read, is_no_group

log = structlog.get_logger()

CLAIM_IDLE_MS = 5_000
CLAIM_EVERY_SECONDS = 2.0
CLAIM_COUNT = 100
CLAIM_LIMIT = 10_000


class Consumer:
    """One group reader. A missing group is created from the stream's beginning, so that nothing is skipped."""

    def __init__(
        self, group: Group, completions: Completions, figures: Figures, *, count: int, block_ms: int
    ) -> None:
        self._group = group
        self._completions = completions
        self._figures = figures
        self._size = BatchSize(count)
        self._block_ms = block_ms
        # Own pending entries are read again from here; None: none are left.
        self._own_after: bytes | None = b"0-0"
        self._has_read = False
        self.loop = Loop("consume", self._read_once)
        self.claiming = Loop("claim-idle", self._claim_once)

    async def _read_once(self) -> float:
        await self._completions.room_to_read()
        try:
            if self._own_after is not None:
                await self._read_own(self._own_after)
            else:
                self._saw(await self._group.read_new(count=self._size.now, block_ms=self._block_ms))
        except ResponseError as error:
            if not is_no_group(error):
                raise
            await self.recover()
        except Exception:
            # The connection broke: entries read but not received are own pending now.
            self._own_after = b"0-0"
            raise
        return 0.0

    @property
    def group_name(self) -> str:
        return self._group.name

    async def recover(self) -> None:
        """Make sure that the group is there; count it when it was there before."""
        if await self._group.ensure() and self._has_read:
            self._figures.group_recoveries.inc()
            log.warning("consumer group created, reading from the beginning", group=self._group.name)
        self._own_after = b"0-0"

    async def _read_own(self, after: bytes) -> None:
        found = await self._group.read_own_pending(after=after, count=self._size.now)
        self._saw(found)
        self._own_after = found[-1].entry_id if found else None

    def _saw(self, found: list[Read]) -> None:
        self._has_read = True
        self._size.saw(len(found), sum(entry.payload_bytes for entry in found))
        self._completions.seen(found)

    async def _claim_once(self) -> float:
        try:
            claimed = await self._group.claim_idle(idle_ms=CLAIM_IDLE_MS, count=CLAIM_COUNT, limit=CLAIM_LIMIT)
        except ResponseError as error:
            if not is_no_group(error):
                raise
            return CLAIM_EVERY_SECONDS  # the reader recovers it
        if claimed:
            log.info("claimed entries of idle consumers", entries=claimed)
            self._own_after = b"0-0"
        return CLAIM_EVERY_SECONDS
