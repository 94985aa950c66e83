"""Health for Prometheus: a service that answers a scrape isn't yet one that can do its work."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from uniassist.web.health import HealthRegistry


class HealthCollector(Collector):
    """As /health has it, read at the scrape, in the service's own loop."""

    def __init__(self, health: HealthRegistry) -> None:
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        state = self._health.read()
        family = GaugeMetricFamily("uniassist_health_check", "1 while the check is ok", labels=["check"])
        for check, found in state.checks.items():
            family.add_metric([check], float(found == "ok"))
        yield family
        yield GaugeMetricFamily("uniassist_health", "1 while the service can do its work", value=float(state.ok))
