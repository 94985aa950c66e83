"""Trims the global stream: what every group is done with, and beyond a limit what only groups of others want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis

from uniassist.streams.stream_groups import GroupPosition, Position, StreamGroups, look, text_of


@dataclass(frozen=True)
class HoldLimits:
    """How much is kept for groups of others: by age in seconds and by the stream's length; 0: no limit."""

    max_age_seconds: int = 0
    max_entries: int = 0


@dataclass(frozen=True)
class Trimmed:
    """`removed`: entries that nobody needs. `dropped`: those that `dropped_for`, groups of others, still wanted."""

    found: StreamGroups
    removed: int = 0
    dropped: int = 0
    dropped_for: Sequence[str] = field(default_factory=tuple)

    @property
    def idle_groups(self) -> list[str]:
        """Groups idle for so long that trimming no longer waits for them."""
        return [group.name for group in self.found.groups if group.is_idle]


class Trimming:
    """`group`: the worker's, never idle and never limited. `ours`: further groups that no limit is for."""

    def __init__(self, redis: Redis, key: str, *, group: str, ours: Sequence[str], limits: HoldLimits) -> None:
        self._redis = redis
        self._key = key
        self._group = group
        self._ours = {group, *ours}
        self._limits = limits

    async def trim(self) -> Trimmed:
        """Nothing while the group itself is missing: whoever creates it anew reads from the beginning."""
        found = await look(self._redis, self._key)
        waited = [group for group in found.groups if group.name == self._group or not group.is_idle]
        if found.position_of(self._group) is None:
            return Trimmed(found)
        removed = await self._trim_below(min(group.needed_from for group in waited))
        ours = min(group.needed_from for group in waited if group.name in self._ours)
        holding = [group for group in waited if group.needed_from < ours and group.held_entry is not None]
        dropped = await self._drop(found, holding, ours) if holding else 0
        lost = await self._lost(holding) if dropped else []
        return Trimmed(found, removed, dropped, lost) if lost else Trimmed(found, removed + dropped)

    async def _drop(self, found: StreamGroups, holding: Sequence[GroupPosition], ours: Position) -> int:
        dropped, max_age = 0, self._limits.max_age_seconds
        if max_age and any(group.held_seconds > max_age for group in holding):
            too_old = (found.now_ms - max_age * 1000, 0)
            dropped = await self._trim_below(min(too_old, ours), exact=True)
        too_many = await self._redis.xlen(self._key) - self._limits.max_entries
        if self._limits.max_entries and too_many > 0:
            # At most so many, the oldest ones, in whole nodes of the stream, and never one that ours need.
            dropped += await self._trim_below(ours, at_most=too_many)
        return dropped

    async def _lost(self, holding: Sequence[GroupPosition]) -> list[str]:
        """Those whose first needed entry is gone."""
        after = await look(self._redis, self._key)
        now = {group.name: group.held_entry for group in after.groups}
        return [group.name for group in holding if now.get(group.name) != group.held_entry]

    async def _trim_below(self, position: Position, *, exact: bool = False, at_most: int | None = None) -> int:
        removed: int = await self._redis.xtrim(
            self._key, minid=text_of(position), approximate=not exact, limit=at_most
        )
        return removed
