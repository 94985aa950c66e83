"""Every figure of /v0/metrics has a metric of the original system's name, with its value."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from uniassist.gateway.original_names import OriginalNames
from uniassist.gateway.overview import (
    IngestMetrics,
    MetricsByArea,
    OutboxCounts,
    PersistenceMetrics,
    ProviderMetrics,
)


@dataclass
class Figures:
    last: MetricsByArea | None


def shown(figures: MetricsByArea | None) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(OriginalNames(Figures(figures)))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}


def test_each_figure_is_there_once() -> None:
    figures = MetricsByArea(
        ingest=IngestMetrics(total=120, error_total=3, error_rate=0.025, latency_p95_ms=4.2),
        provider=ProviderMetrics(invoke_error_total=5, interact_error_total=6),
        persistence=PersistenceMetrics(error_total=7),
        outbox=OutboxCounts(
            pending=8,
            processing=9,
            failed=10,
            delivered=11,
            consumed=12,
            dead_letter=13,
            attempts_total=14,
            retry_rows=15,
            oldest_backlog_age_ms=16,
            backlog_total=17,
        ),
    )
    assert shown(figures) == {
        "uniassist_gateway_ingest_total": 120,
        "uniassist_gateway_ingest_error_total": 3,
        "uniassist_gateway_provider_invoke_error_total": 5,
        "uniassist_gateway_provider_interact_error_total": 6,
        "uniassist_gateway_persistence_error_total": 7,
        "uniassist_gateway_ingest_error_rate": 0.025,
        "uniassist_gateway_ingest_latency_p95_ms": 4.2,
        "uniassist_outbox_pending": 8,
        "uniassist_outbox_processing": 9,
        "uniassist_outbox_failed": 10,
        "uniassist_outbox_delivered": 11,
        "uniassist_outbox_consumed": 12,
        "uniassist_outbox_dead_letter": 13,
        "uniassist_outbox_attempts_total": 14,
        "uniassist_outbox_retry_rows": 15,
        "uniassist_outbox_oldest_backlog_age_ms": 16,
        "uniassist_outbox_backlog_total": 17,
    }


def test_an_outbox_that_nobody_has_seen_yet_is_no_zero() -> None:
    assert shown(None) == {}
