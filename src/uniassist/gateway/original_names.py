"""What /v0/metrics counts, for Prometheus under the names that the original system's dashboards and alerts read.

`uniassist_gateway_<area>_<figure>`, of ingest without its area's total twice, and `uniassist_outbox_<figure>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from uniassist.gateway.overview import MetricsByArea


class HasFigures(Protocol):
    @property
    def last(self) -> MetricsByArea | None: ...


class OriginalNames(Collector):
    """Shows nothing before the outbox was seen once: a zero would say that nothing waits."""

    def __init__(self, figures: HasFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        figures = self._figures.last
        if figures is None:
            return
        counted = {
            "ingest": ("Inputs", figures.ingest.total),
            "ingest_error": ("Inputs that were refused or couldn't be committed", figures.ingest.error_total),
            "provider_invoke_error": ("Failed invoke calls", figures.provider.invoke_error_total),
            "provider_interact_error": ("Failed interact calls", figures.provider.interact_error_total),
            "persistence_error": ("Failed commits", figures.persistence.error_total),
        }
        for name, (meaning, value) in counted.items():
            yield CounterMetricFamily(f"uniassist_gateway_{name}", meaning, value=value)
        yield GaugeMetricFamily(
            "uniassist_gateway_ingest_error_rate", "Failed of all inputs", value=figures.ingest.error_rate
        )
        yield GaugeMetricFamily(
            "uniassist_gateway_ingest_latency_p95_ms",
            "95th percentile of the last inputs",
            value=figures.ingest.latency_p95_ms,
        )
        for figure in figures.outbox.__struct_fields__:
            meaning = f"The outbox's {figure.replace('_', ' ')}, as /v0/metrics says it"
            yield GaugeMetricFamily(f"uniassist_outbox_{figure}", meaning, value=getattr(figures.outbox, figure))
