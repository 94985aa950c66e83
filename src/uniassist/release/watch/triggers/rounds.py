"""The gate's checks by URL, round after round: two that fail in a row fire. No clock, no I/O."""

from __future__ import annotations

from uniassist.release.watch.triggers.samples import Finding, Notice, Round, Trigger

IN_A_ROW = 2


class Rounds:
    """A round fails when any of its checks does. One in an outage, or that could check nothing, says nothing."""

    def __init__(self) -> None:
        self.last: Round | None = None
        self.ok = 0
        self._failed: list[Round] = []

    def see(self, seen: Round, *, excused: bool = False) -> list[Finding]:
        """`excused`: at some time during the round there was an outage."""
        self.last = seen
        if seen.verdict == "unknown":
            return [
                Notice(seen.at, "alert", f"checks: no data ({seen.detail}); their trigger is held until there is")
            ]
        if seen.verdict == "failed" and excused:
            return [Notice(seen.at, "warning", f"checks failed during an outage, and don't count: {seen.detail}")]
        if seen.verdict == "ok":
            self.ok += 1
            self._failed.clear()
            return [Notice(seen.at, "news", f"checks ok: {seen.detail}")]
        self._failed.append(seen)
        if len(self._failed) < IN_A_ROW:
            return [Notice(seen.at, "warning", f"checks failed, once: {seen.detail}")]
        reason = f"checks failed {IN_A_ROW} times in a row; now: {seen.detail}"
        evidence = tuple(dict.fromkeys(line for each in self._failed for line in each.lines))
        return [Trigger("checks", "checks", reason, self._failed[0].at, seen.at, evidence)]

    @property
    def is_failing(self) -> bool:
        return bool(self._failed)

    @property
    def failed_in_a_row(self) -> int:
        return len(self._failed)
