"""What the gateway counts, once, for Prometheus and for /v0/metrics."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCIES_KEPT = 2048
_ANSWERS_KEPT = 256


@dataclass
class ProviderAnswers:
    """What came of the calls of one provider since the process started. `recent`: seconds of the last answers."""

    answered: int = 0
    failed: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_ANSWERS_KEPT))


class GatewayMetrics:
    """Counted since the process started; the latency percentile is over the last 2,048 inputs."""

    def __init__(self) -> None:
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
        self.streams = Gauge("uniassist_sse_connections", "Open event streams", registry=self.registry)
        self._recent: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self.ingest_total = 0
        self.ingest_errors = 0
        self.call_errors = {"invoke": 0, "interact": 0}
        self.answers: dict[str, ProviderAnswers] = {}

    @property
    def followers(self) -> int:
        """Open event streams."""
        return int(next(iter(self.streams.collect())).samples[0].value)

    def ingested(self, seconds: float) -> None:
        self.ingest_total += 1
        self._ingest.labels("accepted").inc()
        self._latency.observe(seconds)
        self._recent.append(seconds)

    def ingest_failed(self) -> None:
        """An input that was refused or couldn't be committed."""
        self.ingest_total += 1
        self.ingest_errors += 1
        self._ingest.labels("failed").inc()

    def provider_failed(self, kind: str, provider_id: str) -> None:
        self.call_errors[kind] += 1
        self._calls.labels(kind).inc()
        self.answers.setdefault(provider_id, ProviderAnswers()).failed += 1

    def provider_answered(self, provider_id: str, seconds: float) -> None:
        """`seconds`: until all of its answer was there."""
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
        ordered = sorted(self._recent)
        return round(ordered[int(len(ordered) * 0.95)] * 1000, 3) if ordered else 0.0
