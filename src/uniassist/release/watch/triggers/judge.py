"""Everything that the watch sees, together: what is a trigger, what is only held. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uniassist.release.watch.triggers.outages import DEPENDENCIES, DependencyOutage
from uniassist.release.watch.triggers.rates import RateTrigger
from uniassist.release.watch.triggers.rounds import Rounds
from uniassist.release.watch.triggers.samples import Attempt, Cadence, Finding, Notice, OutboxMetrics, Probe, Round
from uniassist.release.watch.triggers.service_health import ServiceHealth


class Judge:
    """Takes samples in the order of their times, and answers each with what it means.

    began_at: the watch's start.
    dead_letters, attempts: the two rates.
    names: what services of the watched revision may call themselves; empty: as the first that reports does.
    drifted: set once another revision shows up. That is somebody else's rollout: whoever acts must not undo it.
    """

    def __init__(
        self,
        services: Sequence[str],
        cadence: Cadence,
        began_at: float,
        *,
        dead_letters: RateTrigger,
        attempts: RateTrigger,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self.health = {service: ServiceHealth(service, cadence) for service in services}
        self.outages = {name: DependencyOutage(name, cadence.silence_seconds) for name in DEPENDENCIES}
        self.rounds = Rounds()
        self.dead_letters = dead_letters
        self.attempts = attempts
        self.drifted: str | None = None
        self._names = names
        self._cadence = cadence
        self._began_at = began_at
        self._metrics_at = began_at
        self._metrics_silent = False
        self._outage_at: float | None = None

    def probed(self, service: str, probe: Probe) -> list[Finding]:
        found = self._look_at_outages(probe.at)
        found += self.health[service].see(probe, excused=self.is_outage)
        if probe.verdict == "ok" and probe.revision is not None:
            found += self._see_revision(service, probe.revision, probe.at)
        return found

    def attempted(self, dependency: str, attempt: Attempt) -> list[Finding]:
        self.outages[dependency].attempted(attempt)
        return self._look_at_outages(attempt.at)

    def checked(self, seen: Round) -> list[Finding]:
        excused = self._outage_at is not None and self._outage_at >= seen.began_at
        return self.rounds.see(seen, excused=excused)

    def counted(self, metrics: OutboxMetrics) -> list[Finding]:
        found: list[Finding] = []
        if self._metrics_silent:
            self._metrics_silent = False
            found.append(Notice(metrics.at, "news", "outbox: there is data again"))
        self._metrics_at = metrics.at
        for rate, total in ((self.dead_letters, metrics.dead_letters), (self.attempts, metrics.attempts)):
            found += rate.see(metrics.at, total, excused=self.is_outage)
        return found

    def look_at_clock(self, now: float) -> list[Finding]:
        """To be called every second or so: what has been silent for too long."""
        found = self._look_at_outages(now)
        for health in self.health.values():
            found += health.look_at_clock(now, self._began_at)
        seconds = now - self._metrics_at
        if seconds > self._cadence.metrics_silence_seconds and not self._metrics_silent:
            self._metrics_silent = True
            text = f"outbox: no data for {seconds:.0f} s; the trigger on its rates is held until there is"
            found.append(Notice(now, "alert", text))
        return found

    @property
    def is_outage(self) -> bool:
        return any(outage.since is not None for outage in self.outages.values())

    @property
    def metrics_silent(self) -> bool:
        """Nothing is known of the outbox's rates now."""
        return self._metrics_silent

    @property
    def undecided(self) -> list[str]:
        """What may yet become a trigger: failures under way, and a first round that isn't done."""
        failing = [f"{service}: failing" for service, health in self.health.items() if health.is_failing]
        if self.rounds.is_failing:
            return [*failing, "checks: failed once"]
        return failing if self.rounds.last is not None else [*failing, "checks: not done yet"]

    @property
    def unknown(self) -> list[str]:
        """What can't be judged now, for want of data or for an outage."""
        silent = [f"{service}: no data" for service, health in self.health.items() if health.is_silent]
        away = [f"{name} is {outage.state}" for name, outage in self.outages.items() if outage.since is not None]
        metrics = ["outbox: no data"] if self._metrics_silent else []
        last = self.rounds.last
        rounds = [] if last is not None and last.verdict != "unknown" else ["checks: no data"]
        return [*silent, *away, *metrics, *rounds]

    def _look_at_outages(self, now: float) -> list[Finding]:
        probes = [health.last for health in self.health.values() if health.last is not None]
        found = [finding for outage in self.outages.values() for finding in outage.look(now, probes)]
        if self.is_outage:
            self._outage_at = now
        return found

    def _see_revision(self, service: str, revision: str, at: float) -> list[Finding]:
        if not self._names:
            self._names = frozenset({revision})
        shortened = len(revision) >= 7 and any(name.startswith(revision) for name in self._names)
        if revision in self._names or shortened or self.drifted is not None:
            return []
        self.drifted = f"{service} now runs {revision}, not {' or '.join(sorted(self._names))}"
        text = f"{self.drifted}: somebody else is at it; a trigger is held from now on"
        return [Notice(at, "alert", text)]


def states(judge: Judge) -> Mapping[str, str]:
    """In a word for each service, for whoever looks at the watch."""
    return {service: _state(health) for service, health in judge.health.items()}


def _state(health: ServiceHealth) -> str:
    if health.is_silent or health.last is None:
        return "no data"
    return "failing" if health.is_failing else "ok"
