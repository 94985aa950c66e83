"""How often one user may write, or one address may ask: a token bucket for each, and so many of them. Pure."""

from __future__ import annotations

import math
from collections import OrderedDict

MAX_KEYS = 100_000


class RateLimit:
    """One bucket for each key. The burst is two seconds' worth.

    `per_second`: how fast a bucket fills; 0: no limit.
    Of more than MAX_KEYS keys the quietest are forgotten, and have a full bucket again: the bound on memory comes
    first.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._burst = max(1.0, 2 * per_second)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> int:
        """0 when allowed; else the whole seconds after which it is worth trying again. `now` is monotonic."""
        if self._per_second <= 0:
            return 0
        tokens, at = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - tokens) / self._per_second))
