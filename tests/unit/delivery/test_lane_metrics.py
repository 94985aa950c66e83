"""What several lanes of a worker say of themselves, as the worker's own."""

from __future__ import annotations

from prometheus_client import generate_latest
from tests.integration.delivery.outbox_rows import metric

from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.store.delivery import Lags
from uniassist.streams.stream_groups import GroupPosition, StreamGroups
from uniassist.streams.trimming import Trimmed


def trimmed(entries: int, held_seconds: float) -> Trimmed:
    return Trimmed(StreamGroups(entries, 0, [GroupPosition("g", 0, [], (0, 0), None, held_seconds, False)]))


def test_gauges_add_up_and_the_longest_wait_is_shown() -> None:
    first = DeliveryMetrics()
    second = first.of_lane()
    first.shards.set(8)
    second.shards.set(7)
    second.shards.set(6)
    first.saw_trimmed(trimmed(3, 9.0))
    second.saw_trimmed(trimmed(4, 2.0))
    shown = generate_latest(first.registry).decode()
    assert metric(shown, "uniassist_delivery_shards") == 14
    assert metric(shown, "uniassist_stream_entries") == 7
    assert metric(shown, "uniassist_stream_group_held_seconds", group="g") == 9


def test_events_are_counted_together_and_their_rates_apart() -> None:
    first = DeliveryMetrics()
    second = first.of_lane()
    first.saw_consumed(Lags([(0, 2, 0.1)]))
    second.saw_consumed(Lags([(0, 3, 0.1)]))
    assert metric(generate_latest(first.registry).decode(), "uniassist_delivery_consumed_total") == 5
    assert (first.consumption.count, second.consumption.count) == (2, 3)
