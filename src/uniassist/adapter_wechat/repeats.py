"""How often each message was pushed to this process: what is known of it while the database doesn't say."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field

LAST_PUSH = 3
LAST_PUSH_AGE_SECONDS = 9.0  # should one of the pushes not have arrived here
_KEPT_SECONDS = 30.0
_MAX_KEPT = 20_000


@dataclass
class Seen:
    """`pushes`: at least so many; `began`: at the latest then (monotonic)."""

    pushes: int = 0
    began: float = field(default_factory=time.monotonic)

    def note(self, pushes: int, age_seconds: float) -> None:
        """What the database knows of it, which is more when other instances had it."""
        self.pushes = max(self.pushes, pushes)
        self.began = min(self.began, time.monotonic() - age_seconds)

    @property
    def comes_again(self) -> bool:
        """Whether the platform pushes it once more when this push gets no answer."""
        return self.pushes < LAST_PUSH and time.monotonic() - self.began < LAST_PUSH_AGE_SECONDS


class Repeats:
    """The messages of the last seconds, by push."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Seen] = OrderedDict()

    def count(self, key: str) -> Seen:
        """One more push of it."""
        self._forget_old()
        seen = self._by_key.setdefault(key, Seen())
        seen.pushes += 1
        return seen

    def _forget_old(self) -> None:
        oldest_kept = time.monotonic() - _KEPT_SECONDS
        while self._by_key:  # ends: they are in the order of their first push
            key, seen = next(iter(self._by_key.items()))
            if len(self._by_key) < _MAX_KEPT and seen.began >= oldest_kept:
                return
            del self._by_key[key]
