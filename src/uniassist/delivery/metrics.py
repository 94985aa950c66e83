"""What the engine counts, for Prometheus. Nothing here reads a table at a scrape."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from uniassist.store.delivery import Lags
from uniassist.streams.trimming import Trimmed

# Upper ends in seconds of the buckets of commit → consumed.
LAG_BOUNDS = (0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

RATE_SECONDS = 60.0
SHOWN_GROUPS = 50


class _LagHistogram(Collector):
    """Filled a batch at a time from counts that the database made: observing one by one would cost more."""

    def __init__(self) -> None:
        self.counts = [0] * (len(LAG_BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, lags: Lags) -> None:
        for bucket, events, seconds in lags.buckets:
            self.counts[bucket] += events
            self.seconds += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        cumulative, buckets = 0, []
        for bound, count in zip((*map(str, LAG_BOUNDS), "+Inf"), self.counts, strict=True):
            cumulative += count
            buckets.append((bound, cumulative))
        yield HistogramMetricFamily(
            "uniassist_delivery_seconds",
            "From an event's commit to consumed",
            buckets=buckets,
            sum_value=self.seconds,
        )


class Rate:
    """Events a second over the last minute, or since the start; asked for about once a second."""

    def __init__(self) -> None:
        self.count = 0
        self._looks: deque[tuple[float, int]] = deque(maxlen=1000)

    def per_second(self) -> float:
        now = time.monotonic()
        while self._looks and self._looks[0][0] < now - RATE_SECONDS:
            self._looks.popleft()
        self._looks.append((now, self.count))
        since, before = self._looks[0]
        return (self.count - before) / (now - since) if now > since else 0.0


class _Parts:
    """A gauge that several lanes set, each its part: it shows the sum."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._parts: list[float] = []

    def part(self) -> _Part:
        self._parts.append(0.0)
        return _Part(self, len(self._parts) - 1)

    def set(self, at: int, value: float) -> None:
        self._parts[at] = value
        self._gauge.set(sum(self._parts))


class _Part:
    def __init__(self, of: _Parts, at: int) -> None:
        self._of = of
        self._at = at

    def set(self, value: float) -> None:
        self._of.set(self._at, value)


class DeliveryMetrics:
    """Counters since the process's start, gauges as last looked at, of all lanes together."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.consumption = Rate()
        self._lags = _LagHistogram()
        self.registry.register(self._lags)
        self.published = self._counter("published", "Events appended to the streams")
        self.repeated = self._counter("published_again", "Events that were on their session stream already")
        self.out_of_order = self._counter("out_of_order", "Events published behind successors of their session")
        self.consumed = self._counter("consumed", "Events confirmed by the consumer group")
        self.attempts_failed = self._counter("attempts_failed", "Attempts that events themselves failed")
        self.dead_letters = self._counter("dead_letters", "Events that spent their last attempt")
        self.released = self._counter("released", "Events given back without an attempt: an outage, or a stop")
        self.rescued = self._counter("rescued", "Events taken back from a worker that is gone")
        self.leases_lost = self._counter("leases_lost", "Shards lost while alive")
        self.reconciliations = self._counter("reconciliations", "Times that Redis began a new epoch")
        self.republished = self._counter("returned_by_reconciliation", "Events returned to pending by it")
        self.group_recoveries = self._counter("group_recoveries", "Times the consumer group was created anew")
        self.foreign_entries = self._counter("foreign_entries", "Entries acknowledged that held no event")
        self.trimmed = self._counter("stream_trimmed", "Entries trimmed off the global stream")
        self.dropped = self._counter(
            "stream_dropped", "Entries dropped that groups of others held beyond the limit"
        )
        self.pruned = self._counter("pruned", "Consumed rows deleted after their retention")
        self.backlog = Gauge(
            "uniassist_outbox_backlog", "Events by state, counted up to a bound", ["status"], registry=self.registry
        )
        self.oldest_seconds = Gauge(
            "uniassist_outbox_oldest_seconds", "Age of the oldest pending event", registry=self.registry
        )
        self._shards = _Parts(
            Gauge("uniassist_delivery_shards", "Shards that this worker holds", registry=self.registry)
        )
        self.paused = Gauge("uniassist_delivery_paused", "1 while an operator paused it", registry=self.registry)
        self._entries = _Parts(
            Gauge("uniassist_stream_entries", "Entries on the global stream", registry=self.registry)
        )
        self.held_seconds = Gauge(
            "uniassist_stream_group_held_seconds",
            "Age of the oldest entry that a group holds on the global stream",
            ["group"],
            registry=self.registry,
        )
        self._awaiting = _Parts(
            Gauge("uniassist_delivery_awaiting", "Events published and not confirmed yet", registry=self.registry)
        )
        self._held: list[dict[str, float]] = []
        self._take_part()

    def of_lane(self) -> DeliveryMetrics:
        """The same for a further lane: its gauges are a part of the sum, its rate is its own."""
        lane = copy.copy(self)
        lane.consumption = Rate()
        lane._take_part()
        return lane

    def _take_part(self) -> None:
        self.shards, self.entries, self.awaiting = (
            each.part() for each in (self._shards, self._entries, self._awaiting)
        )
        self._held_here: dict[str, float] = {}
        self._held.append(self._held_here)

    def saw_consumed(self, lags: Lags) -> None:
        self.consumed.inc(lags.events)
        self.consumption.count += lags.events
        self._lags.add(lags)

    def saw_backlog(self, row: Mapping[str, float]) -> None:
        for status in ("pending", "processing", "failed", "delivered", "dead_letter"):
            self.backlog.labels(status).set(row[status])
        self.oldest_seconds.set(row["oldest_seconds"])

    def saw_trimmed(self, trimmed: Trimmed) -> None:
        self.trimmed.inc(trimmed.removed)
        self.dropped.inc(trimmed.dropped)
        self.entries.set(trimmed.found.entries - trimmed.removed - trimmed.dropped)
        self.held_seconds.clear()  # groups come and go
        self._held_here.clear()
        self._held_here.update((group.name, group.held_seconds) for group in trimmed.found.groups[:SHOWN_GROUPS])
        for name in dict.fromkeys(name for lane in self._held for name in lane):
            self.held_seconds.labels(name).set(max(lane.get(name, 0.0) for lane in self._held))

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(f"uniassist_delivery_{name}", meaning, registry=self.registry)
