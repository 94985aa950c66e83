"""A system on virtual time, with all the troubles of a healthy one, and, when told, a real fault."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from uniassist.release.watch.triggers.judge import Judge
from uniassist.release.watch.triggers.rates import RateTrigger
from uniassist.release.watch.triggers.samples import Attempt, Cadence, Notice, OutboxMetrics, Probe, Round
from uniassist.release.watch.triggers.thresholds import Threshold
from uniassist.release.watch.watching import WatchEnd, Watching

ROLLOUT_ORDER = ("provider-plan", "adapter-wechat", "gateway", "worker")
NEEDS = {
    "provider-plan": (),
    "adapter-wechat": ("postgres", "redis"),
    "gateway": ("postgres", "redis"),
    "worker": ("postgres", "redis"),
}
WINDOW_SECONDS = 900.0
PER_MINUTE, RATE_WINDOW_SECONDS = 1.0, 300.0


@dataclass(frozen=True)
class Span:
    """From `start` on, for `seconds`, of the watch's own time."""

    start: float
    seconds: float

    def holds(self, at: float) -> bool:
        return self.start <= at < self.start + self.seconds


@dataclass
class World:
    """What happens in a window. `down`: a service answers nothing good; `away`: a dependency is gone."""

    seed: int
    down: dict[str, list[Span]] = field(default_factory=dict)
    away: dict[str, list[Span]] = field(default_factory=dict)
    blind: list[Span] = field(default_factory=list)
    failing_rounds: set[int] = field(default_factory=set)
    dead_letters: Callable[[float], int] = lambda _at: 0

    def is_down(self, service: str, at: float) -> bool:
        return any(span.holds(at) for span in self.down.get(service, []))

    def is_away(self, dependency: str, at: float) -> bool:
        return any(span.holds(at) for span in self.away.get(dependency, []))


class SimulatedSystem:
    """Sources of a watch. `probes`, `rounds` and `metrics` keep all that was seen, for the oracle."""

    def __init__(self, world: World, cadence: Cadence) -> None:
        self.world = world
        self.probes: dict[str, list[Probe]] = {service: [] for service in ROLLOUT_ORDER}
        self.rounds: list[Round] = []
        self.counts: list[OutboxMetrics] = []
        self._cadence = cadence
        self._random = random.Random(world.seed)
        self._began = asyncio.get_running_loop().time()

    def _at(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def probe(self, service: str) -> Probe:
        asked, deadline = self._at(), self._cadence.probe_deadline_seconds
        # Mostly milliseconds, sometimes seconds; what hangs fails at its deadline.
        seconds = self._random.lognormvariate(-4.0, 1.4) if self._random.random() > 0.01 else 2.5
        is_down = self.world.is_down(service, asked)
        if is_down and self._random.random() < 0.5:
            seconds = deadline
        await asyncio.sleep(min(seconds, deadline))
        checks = {need: "failing" if self.world.is_away(need, asked) else "ok" for need in NEEDS[service]}
        if any(span.holds(asked) for span in self.world.blind):
            found = Probe(self._now(), "unknown", "no network here")
        elif is_down or seconds >= deadline:
            found = Probe(self._now(), "failed", "no answer within 2 s")
        elif "failing" in checks.values():
            found = Probe(self._now(), "failed", "not healthy (503)", checks, "v42")
        else:
            found = Probe(self._now(), "ok", "", checks, "v42")
        self.probes[service].append(found)
        return found

    async def attempt(self, dependency: str) -> Attempt:
        is_away = self.world.is_away(dependency, self._at())
        await asyncio.sleep(self._random.uniform(0.001, 0.1))
        return Attempt(self._now(), not is_away, "refused" if is_away else "")

    async def round(self) -> Round:
        began, asked = self._now(), self._at()
        await asyncio.sleep(self._random.uniform(1.0, 20.0))
        failed = len(self.rounds) in self.world.failing_rounds or any(
            self.world.is_away(dependency, at) for dependency in ("postgres", "redis") for at in (asked, self._at())
        )
        seen = Round(began, self._now(), "failed" if failed else "ok", "simulated")
        self.rounds.append(seen)
        return seen

    async def metrics(self) -> OutboxMetrics | None:
        await asyncio.sleep(self._random.uniform(0.001, 0.3))
        if self.world.is_away("postgres", self._at()):
            return None
        seen = OutboxMetrics(self._now(), self.world.dead_letters(self._at()), 0)
        self.counts.append(seen)
        return seen


@dataclass(frozen=True)
class Watched:
    ended: WatchEnd
    system: SimulatedSystem
    notices: tuple[Notice, ...]


async def watch(world: World) -> Watched:
    """The product's own loop and judge, with the release's own cadence, over this world."""
    cadence, notices = Cadence(), list[Notice]()
    system = SimulatedSystem(world, cadence)
    agreed = Threshold(PER_MINUTE, RATE_WINDOW_SECONDS, "the tests", date(2026, 11, 24), "simulated")
    judge = Judge(
        ROLLOUT_ORDER,
        cadence,
        asyncio.get_running_loop().time(),
        dead_letters=RateTrigger("dead_letter", agreed, 0.0),
        attempts=RateTrigger("retry", agreed, 0.0),
        names=frozenset({"v42"}),
    )
    ended = await Watching(system, judge, cadence, say=notices.append).run(WINDOW_SECONDS)
    return Watched(ended, system, tuple(notices))
