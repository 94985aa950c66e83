"""What an input may cost: a fixed part, and so much for each byte."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_TRIES = 8
_PAUSE_SECONDS = 0.05  # so that what disturbs one try is over in another


class TooDear(AssertionError):
    """It took more than its length allows, each time."""


@dataclass(frozen=True)
class Bound:
    """Seconds of this thread's CPU. Generous: several times what the dearest known input takes."""

    fixed: float
    per_byte: float

    def of(self, size: int) -> float:
        return self.fixed + size * self.per_byte


def spent(check: Callable[[bytes], None], raw: bytes, bound: Bound) -> float:
    """CPU seconds of `check(raw)`. TooDear when even the least of some tries is beyond the bound.

    One try tells little: a collection of garbage, or a neighbour on the machine, may fall into it.
    """
    allowed = bound.of(len(raw))
    least = float("inf")
    for _ in range(_TRIES):
        began = time.thread_time()
        check(raw)
        least = min(least, time.thread_time() - began)
        if least <= allowed:
            return least
        time.sleep(_PAUSE_SECONDS)
    raise TooDear(f"{len(raw)} bytes took {least * 1000:.1f} ms of CPU, {allowed * 1000:.1f} are allowed")
