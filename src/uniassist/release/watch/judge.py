"""Everything that the watch sees, together: what is a trigger, what is only held. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uniassist.release.watch.health import ServiceHealth
from uniassist.release.watch.outages import DEPENDENCIES, Outage
from uniassist.release.watch.rates import Rate
from uniassist.release.watch.rounds import Rounds
from uniassist.release.watch.samples import Attempt, Cadence, Figures, Finding, Notice, Probe, Round


class Judge:
    """Samples in the order of their times; each answers with what it means. `began_at`: the watch's start.

    `revision` is the one that is watched; None: the first that any service reports. Another one that shows up later
    is somebody else's rollout: from then on `drifted` says so, and whoever acts must not undo that.
    """

    def __init__(
        self,
        services: Sequence[str],
        cadence: Cadence,
        began_at: float,
        *,
        dead_letters: Rate,
        attempts: Rate,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self.health = {service: ServiceHealth(service, cadence) for service in services}
        self.outages = {name: Outage(name, cadence.silence_seconds) for name in DEPENDENCIES}
        self.rounds = Rounds()
        self.dead_letters = dead_letters
        self.attempts = attempts
        self.revisions: dict[str, str] = {}
        self.drifted: str | None = None
        self._names = names
        self._cadence = cadence
        self._began_at = began_at
        self._figures_at = began_at
        self._figures_silent = False
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

    def counted(self, figures: Figures) -> list[Finding]:
        found: list[Finding] = []
        if self._figures_silent:
            self._figures_silent = False
            found.append(Notice(figures.at, "news", "outbox: there is data again"))
        self._figures_at = figures.at
        for rate, total in ((self.dead_letters, figures.dead_letters), (self.attempts, figures.attempts)):
            found += rate.see(figures.at, total, excused=self.is_outage)
        return found

    def look_at_clock(self, now: float) -> list[Finding]:
        """To be called every second or so: what has been silent for too long."""
        found = self._look_at_outages(now)
        for health in self.health.values():
            found += health.look_at_clock(now, self._began_at)
        seconds = now - self._figures_at
        if seconds > self._cadence.figures_silence_seconds and not self._figures_silent:
            self._figures_silent = True
            text = f"outbox: no data for {seconds:.0f} s; the trigger on its rates is held until there is"
            found.append(Notice(now, "alert", text))
        return found

    @property
    def is_outage(self) -> bool:
        return any(outage.since is not None for outage in self.outages.values())

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
        away = [f"{name} is away" for name, outage in self.outages.items() if outage.since is not None]
        figures = ["outbox: no data"] if self._figures_silent else []
        last = self.rounds.last
        rounds = [] if last is not None and last.verdict != "unknown" else ["checks: no data"]
        return [*silent, *away, *figures, *rounds]

    def _look_at_outages(self, now: float) -> list[Finding]:
        probes = [health.last for health in self.health.values() if health.last is not None]
        found = [finding for outage in self.outages.values() for finding in outage.look(now, probes)]
        if self.is_outage:
            self._outage_at = now
        return found

    def _see_revision(self, service: str, revision: str, at: float) -> list[Finding]:
        if not self._names:
            self._names = frozenset({revision})
        self.revisions[service] = revision
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
