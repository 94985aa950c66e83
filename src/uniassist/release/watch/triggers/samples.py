"""What the watch sees, and how often it looks. Times are seconds of one monotonic clock, the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["ok", "failed", "unknown"]
Kind = Literal["health", "checks", "rate"]
Level = Literal["alert", "warning", "news"]


@dataclass(frozen=True)
class Cadence:
    """The defaults are the release's own rules; tests and the proof of the alarm pass shorter ones."""

    probe_seconds: float = 5.0
    probe_deadline_seconds: float = 2.0
    failing_seconds: float = 180.0
    # Three probes and their deadline: longer without an answer either way is no data.
    silence_seconds: float = 17.0
    round_seconds: float = 300.0
    round_deadline_seconds: float = 150.0
    metrics_seconds: float = 15.0
    metrics_silence_seconds: float = 90.0
    flapping_turns: int = 6
    flapping_seconds: float = 300.0
    heartbeat_seconds: float = 2.0


@dataclass(frozen=True)
class Probe:
    """One look at a service's health.

    at: when the answer, or that none comes, was known.
    verdict: "unknown": the look couldn't be made from here, which says nothing of the service.
    checks: what the health itself names, each "ok" or "failing".
    """

    at: float
    verdict: Verdict
    detail: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)
    revision: str | None = None


@dataclass(frozen=True)
class Attempt:
    """A direct use of Postgres or Redis.

    ok: None: it couldn't be tried from here, or what was in the way may be the release's own doing.
    state: in a word what is wrong, as the table of outages has it.
    certain: the server itself says so; a service that only reads may think it well.
    """

    at: float
    ok: bool | None
    detail: str = ""
    state: str = "away"
    certain: bool = False


@dataclass(frozen=True)
class Round:
    """The gate's checks by URL, once; "unknown" when none of them could be run. `lines` is what the failed said."""

    began_at: float
    at: float
    verdict: Verdict
    detail: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutboxMetrics:
    """The outbox as counted at `at`: dead letters there are, and attempts that events have failed."""

    at: float
    dead_letters: int
    attempts: int


@dataclass(frozen=True)
class Trigger:
    """A reason to roll back. `subject`: the service, the checks or the rate."""

    kind: Kind
    subject: str
    reason: str
    first_failed_at: float
    at: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notice:
    """Something to say: an alert wants a person, a warning their attention, news just a line."""

    at: float
    level: Level
    text: str


Finding = Trigger | Notice
