"""A map of what was met in the last seconds, bounded in time and number."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """Keeps each key for `seconds` after it was first met. Of more than `most` keys, the oldest go sooner."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._by_key: OrderedDict[str, tuple[V, float]] = OrderedDict()

    def first(self, key: str, value: V) -> V:
        """The value with which `key` was first met, which is `value` if it is met now."""
        now = time.monotonic()
        while self._by_key:  # ends: each round forgets one
            oldest, (_, met_at) = next(iter(self._by_key.items()))
            if met_at >= now - self._seconds and len(self._by_key) < self._most:
                break
            del self._by_key[oldest]
        return self._by_key.setdefault(key, (value, now))[0]
