"""How often each message was pushed to this process: what is known of it while the database doesn't say."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from uniassist.adapter_wechat.recent import Recent

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
        self._recent = Recent[Seen](seconds=_KEPT_SECONDS, most=_MAX_KEPT)

    def count(self, key: str) -> Seen:
        """One more push of it."""
        seen = self._recent.first(key, Seen())
        seen.pushes += 1
        return seen
