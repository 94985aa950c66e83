"""One service's health over time: failing continuously, flapping, silent. No clock, no I/O."""

from __future__ import annotations

from collections import deque

from uniassist.release.watch.triggers.samples import Cadence, Finding, Notice, Probe, Trigger

_KEPT = 40


class ServiceHealth:
    """Fires once a service has failed every probe for `failing_seconds`, counted from the first failed one.

    Any success starts over. So does a gap longer than `silence_seconds`: nobody saw that it failed all along. Time
    in which an outage excuses the failures doesn't count, and nothing fires then.
    """

    def __init__(self, service: str, cadence: Cadence) -> None:
        self.service = service
        self.last: Probe | None = None
        self.failing_since: float | None = None
        self.counted_seconds = 0.0
        self._cadence = cadence
        self._evidence: deque[str] = deque(maxlen=_KEPT)
        self._turns: deque[float] = deque(maxlen=cadence.flapping_turns)
        self._flapping = False
        self._silent = False

    def see(self, probe: Probe, *, excused: bool = False) -> list[Finding]:
        """`excused`: an outage of what the services need goes on."""
        if probe.verdict == "unknown":
            return []
        before, self.last = self.last, probe
        found: list[Finding] = []
        if self._silent:
            self._silent = False
            found.append(Notice(probe.at, "news", f"{self.service}: there is data again"))
        gap = before is not None and probe.at - before.at > self._cadence.silence_seconds
        if gap:
            self._forget()
        if before is not None and before.verdict != probe.verdict:
            found += self._turn(probe)
        if probe.verdict == "ok":
            self._forget()
            return found
        return found + self._fail(probe, before, excused=excused)

    def look_at_clock(self, now: float, began_at: float) -> list[Finding]:
        """An alert when nothing is known of the service any more; `began_at`: since when it is watched."""
        last = self.last.at if self.last is not None else began_at
        if self._silent or now - last <= self._cadence.silence_seconds:
            return []
        self._silent = True
        return [
            Notice(
                now, "alert", f"{self.service}: no data for {now - last:.0f} s; its trigger is held until there is"
            )
        ]

    @property
    def is_silent(self) -> bool:
        return self._silent

    @property
    def is_failing(self) -> bool:
        return self.failing_since is not None

    def _fail(self, probe: Probe, before: Probe | None, *, excused: bool) -> list[Finding]:
        self._evidence.append(f"{probe.detail}")
        if self.failing_since is None:
            self.failing_since, self.counted_seconds = probe.at, 0.0
        elif before is not None and not excused:
            self.counted_seconds += probe.at - before.at
        if excused or self.counted_seconds < self._cadence.failing_seconds:
            return []
        reason = f"{self.service} failed every probe for {self.counted_seconds:.0f} s; last: {probe.detail}"
        evidence = tuple(dict.fromkeys(self._evidence))
        return [Trigger("health", self.service, reason, self.failing_since, probe.at, evidence)]

    def _forget(self) -> None:
        self.failing_since, self.counted_seconds = None, 0.0
        self._evidence.clear()

    def _turn(self, probe: Probe) -> list[Finding]:
        """A change of state, and whether these come so often that it flaps."""
        if self._turns and probe.at - self._turns[-1] > self._cadence.flapping_seconds:
            self._flapping = False
        self._turns.append(probe.at)
        said = f"{self.service} is ok again" if probe.verdict == "ok" else f"{self.service} fails: {probe.detail}"
        found: list[Finding] = [Notice(probe.at, "news" if probe.verdict == "ok" else "warning", said)]
        many = len(self._turns) == self._cadence.flapping_turns
        if many and not self._flapping and probe.at - self._turns[0] <= self._cadence.flapping_seconds:
            self._flapping = True
            seconds = probe.at - self._turns[0]
            text = f"{self.service} is flapping: its health changed {len(self._turns)} times in {seconds:.0f} s"
            found.append(Notice(probe.at, "warning", text))
        return found
