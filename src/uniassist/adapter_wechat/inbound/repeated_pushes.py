"""How often each message was pushed to this process, for when the database can't say."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from uniassist.adapter_wechat.inbound.recent_keys import Recent

LAST_PUSH = 3
LAST_PUSH_AGE_SECONDS = 9.0  # should one of the pushes not have arrived here
_KEPT_SECONDS = 30.0
_MAX_KEPT = 20_000


@dataclass
class RepeatedPush:
    """What is known of a message's pushes.

    pushes: it came at least so often.
    began: the first came at the latest then, on the monotonic clock.
    """

    pushes: int = 0
    began: float = field(default_factory=time.monotonic)

    def note(self, pushes: int, age_seconds: float) -> None:
        """Take in what the database knows, which is more when other instances had the message."""
        self.pushes = max(self.pushes, pushes)
        self.began = min(self.began, time.monotonic() - age_seconds)

    @property
    def comes_again(self) -> bool:
        """Whether the platform pushes it once more when this push gets no answer."""
        return self.pushes < LAST_PUSH and time.monotonic() - self.began < LAST_PUSH_AGE_SECONDS


class Repeats:
    """The messages of the last seconds, by push."""

    def __init__(self) -> None:
        self._recent = Recent[RepeatedPush](seconds=_KEPT_SECONDS, most=_MAX_KEPT)

    def count(self, key: str) -> RepeatedPush:
        """Count one more push of the message."""
        seen = self._recent.first(key, RepeatedPush())
        seen.pushes += 1
        return seen
