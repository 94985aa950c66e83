"""Many windows, healthy and faulty, each judged by the watch and by the oracle."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.watch import oracle, worlds
from tests.watch.simulated import PER_MINUTE, RATE_WINDOW_SECONDS, ROLLOUT_ORDER, Watched, watch
from tests.watch.virtual_time import run


@dataclass
class Outcome:
    """`delays`: seconds from a first failed probe to its health trigger."""

    healthy: int = 0
    faulty: int = 0
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    probes: int = 0
    failed_probes: int = 0
    alerts: int = 0

    @property
    def clean(self) -> bool:
        return not self.false and not self.missed and all(180.0 <= delay <= 187.0 for delay in self.delays)


def campaign(*, healthy: int, faulty: int, seed: int) -> Outcome:
    outcome = Outcome(healthy, faulty)
    for number in range(healthy):
        seen = run(watch(worlds.healthy(seed + number)))
        _count(outcome, seen)
        if seen.ended.trigger is not None:
            outcome.false.append(f"seed {seed + number}: {seen.ended.trigger.reason}")
    for number in range(faulty):
        world, kind, subject = worlds.faulty(seed + number)
        seen = run(watch(world))
        _count(outcome, seen)
        _judge_fault(outcome, seen, seed + number, kind, subject)
    return outcome


def _judge_fault(outcome: Outcome, seen: Watched, seed: int, kind: str, subject: str) -> None:
    trigger = seen.ended.trigger
    if trigger is None or (trigger.kind, trigger.subject) != (kind, subject):
        outcome.missed.append(f"seed {seed}: {kind} of {subject} expected, got {trigger}")
        return
    outcome.kinds[kind] += 1
    expected = expected_at(seen, kind, subject)
    if expected != trigger.at:
        outcome.missed.append(f"seed {seed}: fired at {trigger.at}, by the oracle at {expected}")
    if kind == "health":
        outcome.delays.append(trigger.at - trigger.first_failed_at)


def expected_at(seen: Watched, kind: str, subject: str) -> float | None:
    system = seen.system
    if kind == "rate":
        return oracle.rate(system.counts, per_minute=PER_MINUTE, window_seconds=RATE_WINDOW_SECONDS)
    found = oracle.rounds(system.rounds) if kind == "checks" else oracle.health(system.probes[subject])
    return found.at if found is not None else None


def _count(outcome: Outcome, seen: Watched) -> None:
    for service in ROLLOUT_ORDER:
        outcome.probes += len(seen.system.probes[service])
        outcome.failed_probes += sum(probe.verdict == "failed" for probe in seen.system.probes[service])
    outcome.alerts += sum(notice.level == "alert" for notice in seen.notices)
