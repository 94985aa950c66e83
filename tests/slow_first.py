"""In which order tests run: one that takes long and begins last keeps the whole run waiting for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(slow: Sequence[T], rest: Sequence[T], workers: int) -> list[T]:
    """All of them, cut as xdist cuts them for its workers, so that each begins with its share of the slow ones.

    `--dist worksteal` gives each worker a run of tests as long as the others'; who has none left takes from the end
    of another's.
    """
    left = len(slow) + len(rest)
    ordered: list[T] = []
    taken = 0
    for worker in range(workers):
        length = left // (workers - worker)
        left -= length
        share = slow[worker::workers]
        more = max(0, length - len(share))
        ordered += [*share, *rest[taken : taken + more]]
        taken += more
    return ordered
