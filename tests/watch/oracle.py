"""The triggers, found another way: by looking at all that was seen once it is over, without any state."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from uniassist.release.watch.triggers.samples import OutboxMetrics, Probe, Round

FAILING_SECONDS = 180.0
SILENCE_SECONDS = 17.0


@dataclass(frozen=True)
class Fired:
    at: float
    first_failed_at: float


def health(probes: Sequence[Probe], excused: Sequence[bool] | None = None) -> Fired | None:
    """For every probe, how long everything back from it had failed; the first for which that is three minutes."""
    known = [(probe, free) for probe, free in zip(probes, excused or [False] * len(probes), strict=True)]
    known = [(probe, free) for probe, free in known if probe.verdict != "unknown"]
    for last in range(len(known)):
        if known[last][0].verdict != "failed" or known[last][1]:
            continue
        first = last
        while (
            first > 0
            and known[first - 1][0].verdict == "failed"
            and known[first][0].at - known[first - 1][0].at <= SILENCE_SECONDS
        ):
            first -= 1
        steps = range(first + 1, last + 1)
        seconds = sum(known[i][0].at - known[i - 1][0].at for i in steps if not known[i][1])
        if seconds >= FAILING_SECONDS:
            return Fired(known[last][0].at, known[first][0].at)
    return None


def rounds(seen: Sequence[Round]) -> Fired | None:
    """The first two that failed with nothing but unknown ones between them."""
    known = [each for each in seen if each.verdict != "unknown"]
    for before, after in itertools.pairwise(known):
        if before.verdict == after.verdict == "failed":
            return Fired(after.at, before.at)
    return None


def rate(seen: Sequence[OutboxMetrics], *, per_minute: float, window_seconds: float) -> float | None:
    """When two counts at most a window apart first differ by more than the threshold (baseline 0)."""
    allowed = per_minute * window_seconds / 60
    for later in seen:
        for earlier in seen:
            if 0 <= later.at - earlier.at <= window_seconds and later.dead_letters - earlier.dead_letters > allowed:
                return later.at
    return None
