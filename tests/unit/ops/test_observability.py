"""Dashboards, scrape configurations and the collector: whole, of one piece, and of the services that there are.

Their metrics are held against running services beside the alert rules' (release/watch/test_watch_running).
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import promql_parser
import pytest
import yaml
from tests.unit.ops import dashboards, manifests

from uniassist.devstack.plan import PORT_VARIABLES
from uniassist.settings.variables import VARIABLES

_METRIC = re.compile(r"\b(?:uniassist|process)_\w+|\bup\b(?=\{)")


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((dashboards.FOLDER / name).read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", dashboards.dashboards())
class TestEachDashboard:
    def test_can_be_loaded_beside_the_others(self, name: str) -> None:
        found = dashboards.dashboards()
        assert found[name]["uid"] == f"uniassist-{name}"
        assert len({dashboard["title"] for dashboard in found.values()}) == len(found)
        assert [variable["name"] for variable in found[name]["templating"]["list"]] == ["datasource"]

    def test_has_panels_that_say_what_they_show(self, name: str) -> None:
        panels = dashboards.dashboards()[name]["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert len({panel["title"] for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["description"].endswith("."), panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert all(target["legendFormat"] for target in panel["targets"])

    def test_has_no_panel_over_another_or_beyond_the_edge(self, name: str) -> None:
        places = [panel["gridPos"] for panel in dashboards.dashboards()[name]["panels"]]
        for place in places:
            assert place["x"] + place["w"] <= 24
        for one, other in itertools.combinations(places, 2):
            assert (
                one["x"] + one["w"] <= other["x"]
                or other["x"] + other["w"] <= one["x"]
                or one["y"] + one["h"] <= other["y"]
                or other["y"] + other["h"] <= one["y"]
            ), (one, other)


@pytest.mark.parametrize("where", dashboards.expressions())
def test_an_expression_is_one(where: str) -> None:
    promql_parser.parse(dashboards.expressions()[where])


def test_whatever_can_alert_can_be_seen() -> None:
    rules = [rule for group in read("alerts.yml")["groups"] for rule in group["rules"]]
    alerting = {metric for rule in rules for metric in _METRIC.findall(rule["expr"])}
    shown = {metric for expression in dashboards.expressions().values() for metric in _METRIC.findall(expression)}
    assert alerting <= shown
    said = " ".join(
        panel["description"] for dashboard in dashboards.dashboards().values() for panel in dashboard["panels"]
    )
    assert {rule["alert"] for rule in rules} <= set(re.findall(r"\w+", said)), "each is named where it is seen"


@pytest.mark.parametrize("service", manifests.ROLLOUT)
def test_each_service_has_its_alerts_and_its_place_on_the_dashboards(service: str) -> None:
    rules = [rule["expr"] for group in read("alerts.yml")["groups"] for rule in group["rules"]]
    for expression in (*rules, *dashboards.expressions().values()):
        for jobs in re.findall(r'job=~"([^"]+)"', expression):
            assert re.fullmatch(jobs, service), expression
    absent = [rule for rule in rules if "absent(" in rule]
    assert all(f'absent(up{{job="{service}"}})' in rule for rule in absent)
    assert absent
    if service.startswith("provider-"):
        name = service.replace("-", "_")
        assert any(f"uniassist_{name}_calls_total" in each for each in dashboards.expressions().values())


def test_each_service_is_scraped_as_a_job_of_its_name() -> None:
    found = read("prometheus.yml")
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in found["scrape_configs"]}
    ports = {service: VARIABLES[PORT_VARIABLES[service]].default for service in manifests.ROLLOUT}
    assert targets == {service: [f"127.0.0.1:{port}"] for service, port in ports.items()}
    for name in ("prometheus.yml", "prometheus-kubernetes.yml"):
        assert all((dashboards.FOLDER / file).exists() for file in read(name)["rule_files"])


def test_in_kubernetes_a_job_is_a_component_and_prometheus_is_let_in() -> None:
    job = read("prometheus-kubernetes.yml")["scrape_configs"][0]
    assert job["kubernetes_sd_configs"][0]["selectors"][0]["label"] == "app.kubernetes.io/name=uniassist"
    label = f"__meta_kubernetes_pod_label_{re.sub(r'[^a-z]', '_', manifests.COMPONENT)}"
    assert {"source_labels": [label], "target_label": "job"} in job["relabel_configs"]
    scraped = next(found for found in manifests.base() if found["metadata"]["name"] == "uniassist-scraped")
    rule = scraped["spec"]["ingress"][0]
    assert rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == "monitoring"


def test_what_the_scalers_ask_for_is_what_the_adapter_gives() -> None:
    rules = read("prometheus-adapter.yaml")["rules"]
    scalers = manifests.of_kind(manifests.base(), "HorizontalPodAutoscaler")
    pods = next(metric["pods"] for metric in scalers["gateway"]["spec"]["metrics"] if metric["type"] == "Pods")
    external = scalers["worker"]["spec"]["metrics"][0]["external"]
    assert pods["metric"]["name"] == rules["custom"][0]["name"]["as"]
    assert external["metric"]["name"] == rules["external"][0]["name"]["as"]
    assert rules["external"][0]["metricsQuery"].startswith("max ")
    shown = " ".join(dashboards.expressions().values())
    assert pods["metric"]["name"] in shown
    assert external["metric"]["name"] in shown


def test_the_collector_is_of_one_piece_and_hears_what_the_services_speak() -> None:
    found = read("otel-collector.yaml")
    pipeline = found["service"]["pipelines"]["traces"]
    for part in ("receivers", "processors", "exporters"):
        assert set(pipeline[part]) == set(found[part])
    assert set(found["service"]["extensions"]) == set(found["extensions"])
    assert pipeline["processors"][0] == "memory_limiter"
    assert pipeline["processors"][-1] == "batch"
    assert set(found["receivers"]["otlp"]["protocols"]) == {"http"}
    assert VARIABLES["OTEL_EXPORTER_OTLP_PROTOCOL"].choices == ("http/protobuf",)
    port = found["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert f":{port}" in (VARIABLES["OTEL_EXPORTER_OTLP_ENDPOINT"].example or "")
    servers = next(found for found in manifests.base() if found["metadata"]["name"] == "uniassist-servers")
    assert int(port) in {each["port"] for rule in servers["spec"]["egress"] for each in rule["ports"]}
