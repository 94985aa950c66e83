"""Dead letters and failed attempts against what was agreed. No clock, no I/O.

What is counted are rows as they are now, so a count falls when rows are replayed or pruned. It is judged by how
far it rose above its lowest in the window: a fall starts over, and rows that come and go, as a drill's, never add
up.
"""

from __future__ import annotations

from collections import deque

from uniassist.release.clock import length
from uniassist.release.watch.triggers.samples import Finding, Trigger
from uniassist.release.watch.triggers.thresholds import Threshold

# Where a drill's rows can't be told from others: what one drill has in the outbox at most. It injects two rows that
# can be dead letters at the same time, with at most 12 attempts each; a lock keeps a second drill away.
DRILL_DEAD_LETTERS, DRILL_ATTEMPTS = 2, 24
OWN_BASELINE_SECONDS = 120.0


class RateTrigger:
    """Fires when within the window more came than baseline and threshold allow, and `allowance` on top.

    `baseline` in events a minute, measured before the rollout; None: from the first OWN_BASELINE_SECONDS, and then
    never more than the threshold itself, since a release that is bad from its first second would be its own excuse.
    """

    def __init__(self, name: str, threshold: Threshold, baseline: float | None, allowance: int = 0) -> None:
        self.name = name
        self.threshold = threshold
        self.rose = 0
        self._given = baseline
        self._own: float | None = None
        self._allowance = allowance
        self._kept: deque[tuple[float, int]] = deque()
        self._first: tuple[float, int] | None = None

    def see(self, at: float, total: int, *, excused: bool = False) -> list[Finding]:
        """`excused`: an outage goes on; what comes then isn't the release's."""
        if excused or (self._kept and at - self._kept[-1][0] > self.threshold.window_seconds):
            self._kept.clear()
            self._first = None
        while self._kept and self._kept[0][0] < at - self.threshold.window_seconds:
            self._kept.popleft()
        self._kept.append((at, total))
        self._measure_own(at, total)
        lowest = min(count for _, count in self._kept)
        self.rose = total - lowest
        if excused or self.rose <= self.allowed:
            return []
        since = max(when for when, count in self._kept if count == lowest)
        agreed = self.threshold
        reason = (
            f"{self.name}: {self.rose} more within {at - since:.0f} s; {self.allowed:.0f} are allowed in "
            f"{length(agreed.window_seconds)} (baseline {self.baseline:g} and {agreed.per_minute:g} a minute, "
            f"agreed by {agreed.agreed_by} on {agreed.agreed_on})"
        )
        evidence = tuple(f"{self.name} {count}, {at - when:.0f} s before" for when, count in self._kept)
        return [Trigger("rate", self.name, reason, since, at, evidence)]

    @property
    def baseline(self) -> float:
        """A minute, as far as it is known."""
        if self._given is not None:
            return self._given
        return self.threshold.per_minute if self._own is None else min(self._own, self.threshold.per_minute)

    @property
    def allowed(self) -> float:
        minutes = self.threshold.window_seconds / 60
        return (self.baseline + self.threshold.per_minute) * minutes + self._allowance

    def _measure_own(self, at: float, total: int) -> None:
        if self._given is not None or self._own is not None:
            return
        if self._first is None or total < self._first[1]:
            self._first = (at, total)
        elif at - self._first[0] >= OWN_BASELINE_SECONDS:
            self._own = (total - self._first[1]) / ((at - self._first[0]) / 60)
