"""Whether Postgres or Redis is away, which no rollback mends. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable

from uniassist.release.checks.health_words import PLAIN
from uniassist.release.watch.triggers.samples import Attempt, Finding, Notice, Probe

DEPENDENCIES = ("postgres", "redis")
# One lost packet is no outage; two attempts are five seconds apart.
_IN_A_ROW = 2


class DependencyOutage:
    """One dependency. A server that says itself that it takes no writes is at fault, whoever thinks it well.

    Else, where it can be tried directly, that decides, unless a service has it in use right now.

    So services that can't reach a Postgres which answers us are at fault themselves (a wrong URL in the new env
    set, say), and a Postgres that only we can't reach is no outage. Where it can't be tried, all services that need
    it must name it, and at least two.
    """

    def __init__(self, dependency: str, silence_seconds: float) -> None:
        self.dependency = dependency
        self.since: float | None = None
        self._silence_seconds = silence_seconds
        self._failed_attempts = 0
        self._tried_at: float | None = None
        self._detail = ""
        self._certain = False
        self.state = "away"

    def attempted(self, attempt: Attempt) -> None:
        if attempt.ok is None:
            return
        self._tried_at = attempt.at
        self._failed_attempts = 0 if attempt.ok else self._failed_attempts + 1
        self._detail = attempt.detail
        if not attempt.ok:
            self._certain, self.state = attempt.certain, attempt.state

    def look(self, now: float, probes: Iterable[Probe]) -> list[Finding]:
        """`probes`: the last of each service. Says when an outage begins and ends."""
        fresh = [probe for probe in probes if now - probe.at <= self._silence_seconds]
        said = [probe.checks[self.dependency] for probe in fresh if self.dependency in probe.checks]
        away = self._away(now, said)
        if away and self.since is None:
            self.since = now
            why = self._detail
            if self._tried_at is None:
                why = f"{len(said)} services name it"
                self.state = next((state for state in said if state != PLAIN), "away")
            text = f"{self.dependency} is {self.state} ({why}): no rollback mends that, all triggers are held"
            return [Notice(now, "alert", text)]
        if not away and self.since is not None:
            seconds, self.since = now - self.since, None
            return [Notice(now, "alert", f"{self.dependency} is back after {seconds:.0f} s; triggers count again")]
        return []

    def _away(self, now: float, said: list[str]) -> bool:
        if self._tried_at is not None and now - self._tried_at <= self._silence_seconds:
            return self._failed_attempts >= _IN_A_ROW and (self._certain or "ok" not in said)
        return len(said) >= 2 and "ok" not in said
