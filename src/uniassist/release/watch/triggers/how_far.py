"""How far each trigger is from firing, for whoever looks at the watch. No clock, no I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

from uniassist.release.watch.triggers.judge import Judge
from uniassist.release.watch.triggers.rounds import IN_A_ROW
from uniassist.release.watch.triggers.samples import Cadence

State = Literal["quiet", "rising", "held"]


class TriggerSeen(msgspec.Struct, rename="camel", omit_defaults=True):
    """It fires at `limit` (a health: seconds; checks: rounds) or above it (a rate: events in the window).

    state: held: an outage, another revision, or no data keeps it from firing.
    window_seconds: of a rate.
    """

    kind: Literal["health", "checks", "rate"]
    subject: str
    state: State
    value: float
    limit: float
    window_seconds: float | None = None


def how_far(judge: Judge, cadence: Cadence) -> list[TriggerSeen]:
    """Of all triggers, each service's health first."""
    is_held = judge.is_outage or judge.drifted is not None

    def state(value: float, *, is_silent: bool = False) -> State:
        return "held" if is_held or is_silent else "rising" if value > 0 else "quiet"

    found = [
        TriggerSeen(
            "health",
            service,
            "rising" if health.is_failing and not is_held else state(0, is_silent=health.is_silent),
            round(health.counted_seconds, 1),
            cadence.failing_seconds,
        )
        for service, health in judge.health.items()
    ]
    last = judge.rounds.last
    silent = last is not None and last.verdict == "unknown"
    failed = judge.rounds.failed_in_a_row
    found.append(TriggerSeen("checks", "checks", state(failed, is_silent=silent), failed, IN_A_ROW))
    for rate in (judge.dead_letters, judge.attempts):
        seen = state(rate.rose, is_silent=judge.metrics_silent)
        window = rate.threshold.window_seconds
        found.append(TriggerSeen("rate", rate.name, seen, rate.rose, round(rate.allowed, 1), window))
    return found
