"""What the gateway counts, once, for Prometheus and for /v0/metrics.

Prometheus is shown each process's own; /v0/metrics and the console what all of them have counted together.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from uniassist.gateway import counts
from uniassist.gateway.counts import Counts
from uniassist.web.processes.place import Place

_ERRORS_OF = {"invoke": counts.INVOKE_ERRORS, "interact": counts.INTERACT_ERRORS}

_ANSWERS_KEPT = 256


@dataclass
class ProviderAnswers:
    """What came of this process's calls of one provider since it started. `recent`: seconds of the last answers."""

    answered: int = 0
    failed: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_ANSWERS_KEPT))


class OpenStreams:
    """How many event streams are open, at this process and at all."""

    def __init__(self, shown: Gauge, counted: Counts) -> None:
        self._shown = shown
        self._counts = counted

    def inc(self) -> None:
        self._shown.inc()
        self._counts.add(counts.FOLLOWERS)

    def dec(self) -> None:
        self._shown.dec()
        self._counts.add(counts.FOLLOWERS, -1)


class GatewayMetrics:
    """Counted since the gateway started; the latency percentile is over the last 2,048 inputs of each process.

    `place`: among the gateway's processes; None: it has no other.
    """

    def __init__(self, place: Place | None = None) -> None:
        self._counts = Counts(place if place is not None else Place())
        self.registry = CollectorRegistry()
        self._ingest = Counter("uniassist_ingest", "Inputs by outcome", ["outcome"], registry=self.registry)
        self._latency = Histogram(
            "uniassist_ingest_seconds", "From the input's arrival to its acknowledgement", registry=self.registry
        )
        self._calls = Counter(
            "uniassist_provider_call_errors", "Failed provider calls", ["kind"], registry=self.registry
        )
        self.calls_lost = Counter(
            "uniassist_provider_calls_lost",
            "Answers dropped because another gateway had taken the call over",
            registry=self.registry,
        )
        self._provider_up = Gauge(
            "uniassist_provider_up",
            "1 when its manifest was right at the last look",
            ["provider"],
            registry=self.registry,
        )
        self._tokens = Counter(
            "uniassist_chat_tokens",
            "What chat models say that their answers cost",
            ["provider", "of"],
            registry=self.registry,
        )
        shown = Gauge("uniassist_sse_connections", "Open event streams", registry=self.registry)
        self.streams = OpenStreams(shown, self._counts)
        self.answers: dict[str, ProviderAnswers] = {}

    @property
    def followers(self) -> int:
        """Open event streams."""
        return self._counts.total(counts.FOLLOWERS)

    @property
    def ingest_total(self) -> int:
        return self._counts.total(counts.INGEST)

    @property
    def ingest_errors(self) -> int:
        return self._counts.total(counts.INGEST_ERRORS)

    @property
    def persistence_errors(self) -> int:
        """Transactions that failed."""
        return self._counts.total(counts.PERSISTENCE_ERRORS)

    @property
    def answered(self) -> int:
        """Calls of all providers."""
        return self._counts.total(counts.ANSWERED)

    @property
    def failed(self) -> int:
        return self._counts.total(counts.FAILED)

    def call_errors(self, kind: str) -> int:
        return self._counts.total(_ERRORS_OF[kind])

    def ingested(self, seconds: float) -> None:
        self._counts.add(counts.INGEST)
        self._ingest.labels("accepted").inc()
        self._latency.observe(seconds)
        self._counts.add_latency(seconds)

    def ingest_failed(self) -> None:
        """An input that was refused or couldn't be committed."""
        self._counts.add(counts.INGEST)
        self._counts.add(counts.INGEST_ERRORS)
        self._ingest.labels("failed").inc()

    def commit_failed(self) -> None:
        self._counts.add(counts.PERSISTENCE_ERRORS)

    def provider_failed(self, kind: str, provider_id: str) -> None:
        self._counts.add(_ERRORS_OF[kind])
        self._counts.add(counts.FAILED)
        self._calls.labels(kind).inc()
        self.answers.setdefault(provider_id, ProviderAnswers()).failed += 1

    def provider_answered(self, provider_id: str, seconds: float) -> None:
        """`seconds`: until all of its answer was there."""
        self._counts.add(counts.ANSWERED)
        answers = self.answers.setdefault(provider_id, ProviderAnswers())
        answers.answered += 1
        answers.recent.append(seconds)

    def provider_checked(self, provider_id: str, is_right: bool) -> None:
        """What the last look at its manifest found."""
        self._provider_up.labels(provider_id).set(is_right)

    def chat_used(self, provider_id: str, prompt_tokens: int, completion_tokens: int) -> None:
        self._tokens.labels(provider_id, "prompt").inc(max(0, prompt_tokens))
        self._tokens.labels(provider_id, "completion").inc(max(0, completion_tokens))

    def latency_p95_ms(self) -> float:
        ordered = self._counts.latencies()
        return round(ordered[int(len(ordered) * 0.95)] * 1000, 3) if ordered else 0.0
