"""How much somebody has used in a window of time, over all gateways.

Each gateway counts by itself, and tells the others through Postgres in steps of a small part of the limit. So a
statement more is due now and then, and only of who uses a lot; a limit is exceeded by at most a step for each
gateway. Windows begin on the hour, or at midnight, UTC.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from uniassist.errors import ServerFault

MAX_KEYS = 100_000
STEPS = 64
# (who, when the window began, amount) → what all gateways have told of it
Tell: TypeAlias = Callable[[str, dt.datetime, int], Awaitable[int]]


@dataclass(slots=True)
class _Count:
    """`window`: when it began, Unix seconds. `told`: of all gateways, when last asked; `untold`: of this one."""

    window: int
    told: int = 0
    untold: int = 0


class Usage:
    """One count for each. `limit` in a window of `seconds`; 0: no limit.

    Of more than MAX_KEYS the quietest are forgotten, with what they haven't told.
    """

    def __init__(self, limit: int, seconds: int, tell: Tell) -> None:
        self._limit = limit
        self._seconds = seconds
        self._step = max(1, limit // STEPS)
        self._tell = tell
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def wait_seconds(self, who: str, now: float) -> int:
        """0 while there is some left, as far as is known here; else the seconds until the window ends."""
        count = self._counts.get(who)
        if self._limit <= 0 or count is None or count.window != self._window(now):
            return 0
        return self._until_end(now) if count.told + count.untold >= self._limit else 0

    async def add(self, who: str, amount: int, now: float) -> int:
        """Counts it, and tells it where it is time to. 0, or the seconds to wait when this was too much."""
        if self._limit <= 0:
            return 0
        window = self._window(now)
        count = self._counts.pop(who, None)
        if count is None or count.window != window:
            count = _Count(window)
        self._counts[who] = count
        if len(self._counts) > MAX_KEYS:
            self._counts.popitem(last=False)
        count.untold += amount
        if count.untold >= self._step:
            await self._share(who, count)
        return self._until_end(now) if count.told + count.untold > self._limit else 0

    async def _share(self, who: str, count: _Count) -> None:
        amount, count.untold = count.untold, 0
        count.told += amount  # counts here, whatever becomes of the telling
        began = dt.datetime.fromtimestamp(count.window, dt.UTC)
        try:
            told = await self._tell(who, began, amount)
        except ServerFault:  # a bound that can't be shared for a while stays one of this gateway's
            return
        count.told = max(count.told, told)

    def _window(self, now: float) -> int:
        return int(now) // self._seconds * self._seconds

    def _until_end(self, now: float) -> int:
        return max(1, math.ceil(self._window(now) + self._seconds - now))
