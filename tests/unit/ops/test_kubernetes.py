"""The manifests: each service is probed, bounded, confined, spread; names and ports are ours; the driver fits."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.ops import manifests
from tests.unit.ops.manifests import COMPONENT, OPTIONAL, ROLLOUT, Document, of_kind

from uniassist.devstack.plan import PORT_VARIABLES
from uniassist.release.drivers.exec_file import ExecFile, read_exec_file
from uniassist.release.env.file import written
from uniassist.settings import secret_files
from uniassist.settings.variables import VARIABLES

RENDERED = ["base", *(manifests.OVERLAYS if manifests.has_kubectl() else ())]
# Ten seconds for its own work and ten for its requests, as `uniassist.web.server` drains.
_DRAIN_SECONDS = 20
_KUBECTL = """#!/bin/sh
case "$1 $3" in
  "kustomize "*) cat "$MANIFESTS" ;;
  "-n get") printf '%s' "$REPLICAS" ;;
  "-n apply") cat > "$SEEN/applied-$$"; printf '%s\\n' "$*" >> "$SEEN/said" ;;
  *) printf '%s\\n' "$*" >> "$SEEN/said" ;;
esac
"""


def rendered(name: str) -> tuple[Document, ...]:
    return manifests.base() if name == "base" else manifests.overlay(name)


@pytest.fixture(params=[(name, service) for name in RENDERED for service in ROLLOUT], ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def documents(place: tuple[str, str]) -> tuple[Document, ...]:
    return rendered(place[0])


@pytest.fixture
def service(place: tuple[str, str]) -> str:
    return place[1]


@pytest.fixture
def pod(documents: tuple[Document, ...], service: str) -> dict[str, Any]:
    found: dict[str, Any] = of_kind(documents, "Deployment")[service]["spec"]["template"]["spec"]
    return found


@pytest.fixture
def app(pod: dict[str, Any]) -> dict[str, Any]:
    assert [container["name"] for container in pod["containers"]] == ["app"]
    found: dict[str, Any] = pod["containers"][0]
    return found


def test_every_service_has_its_deployment(documents: tuple[Document, ...]) -> None:
    assert set(of_kind(documents, "Deployment")) == set(ROLLOUT)
    assert set(of_kind(documents, "PodDisruptionBudget")) == set(ROLLOUT)
    assert set(of_kind(documents, "Service")) == set(ROLLOUT)
    assert set(of_kind(documents, "HorizontalPodAutoscaler")) == {"gateway", "worker"}


def test_it_is_probed_for_what_each_probe_is_for(service: str, app: dict[str, Any]) -> None:
    paths = {kind: app[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in paths.values()} == {"http"}
    assert paths["startup"]["path"] == paths["liveness"]["path"] == "/health/live"
    assert paths["readiness"]["path"] == ("/health/live" if service == "adapter-wechat" else "/health")
    assert app["startupProbe"]["failureThreshold"] * app["startupProbe"]["periodSeconds"] >= 30
    assert app["livenessProbe"]["failureThreshold"] >= 3


def test_it_may_do_nothing_but_serve(app: dict[str, Any], pod: dict[str, Any]) -> None:
    assert app["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "uniassist"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_it_is_bounded(app: dict[str, Any]) -> None:
    assert app["resources"]["limits"]["memory"]
    assert set(app["resources"]["requests"]) == {"cpu", "memory"}


def test_it_has_the_time_of_its_drain(app: dict[str, Any], pod: dict[str, Any]) -> None:
    before = app["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before > 0, "it would be sent requests that it no longer takes"
    assert pod["terminationGracePeriodSeconds"] >= before + _DRAIN_SECONDS + 5


def test_it_is_spread_and_never_all_away(
    documents: tuple[Document, ...], service: str, pod: dict[str, Any]
) -> None:
    keys = {spread["topologyKey"] for spread in pod["topologySpreadConstraints"]}
    assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    for spread in pod["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"][COMPONENT] == service
    assert of_kind(documents, "PodDisruptionBudget")[service]["spec"]["maxUnavailable"] == 1
    strategy = of_kind(documents, "Deployment")[service]["spec"]["strategy"]["rollingUpdate"]
    assert strategy["maxUnavailable"] == 0


def test_it_is_started_as_itself_where_it_is_looked_for(
    documents: tuple[Document, ...], service: str, app: dict[str, Any]
) -> None:
    assert "command" not in app, "the image's entrypoint takes the signals"
    assert app["args"] == [service]
    port = int(VARIABLES[PORT_VARIABLES[service]].default or 0)
    assert app["ports"] == [{"name": "http", "containerPort": port}]
    assert {"name": PORT_VARIABLES[service], "value": str(port)} in app["env"]
    found = of_kind(documents, "Service")[service]["spec"]
    assert found["ports"] == [{"name": "http", "port": port, "targetPort": "http"}]
    assert found["selector"][COMPONENT] == service


def test_its_variables_are_ours_and_no_secret_stands_in_the_open(app: dict[str, Any]) -> None:
    for variable in app["env"]:
        assert variable["name"] in VARIABLES or secret_files.secret_of(variable["name"]), variable
        assert not VARIABLES[variable["name"]].secret or "valueFrom" in variable, variable
    assert app["envFrom"] == [{"secretRef": {"name": "uniassist-env-unset"}}]
    by_name = {variable["name"]: variable for variable in app["env"]}
    assert by_name["UNIASSIST_INSTANCE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_who_may_speak_with_whom(documents: tuple[Document, ...], service: str) -> None:
    shared = [
        document["spec"]
        for document in documents
        if document["kind"] == "NetworkPolicy" and document["metadata"]["name"] == "uniassist-nothing"
    ]
    assert [spec["policyTypes"] for spec in shared] == [["Ingress", "Egress"]]
    assert not {"ingress", "egress"} & set(shared[0])
    callers = peers(documents, service, "ingress", "from")
    providers = {each for each in ROLLOUT if each.startswith("provider-")}
    expected = {**{each: {"gateway"} for each in providers}, "gateway": {"adapter-wechat", *providers}}
    assert set(callers) == expected.get(service, set())
    assert set(callers.values()) <= {"http"}
    for caller in callers:  # and is let out
        port = int(VARIABLES[PORT_VARIABLES[service]].default or 0)
        assert peers(documents, caller, "egress", "to")[service] == port


def peers(documents: tuple[Document, ...], service: str, way: str, end: str) -> dict[str, str | int]:
    """The services that all of its policies together let in, or it out to, and the port there."""
    return {
        peer["podSelector"]["matchLabels"][COMPONENT]: rule["ports"][0]["port"]
        for document in documents
        if document["kind"] == "NetworkPolicy"
        and document["spec"]["podSelector"].get("matchLabels", {}).get(COMPONENT) == service
        for rule in document["spec"].get(way, [])
        for peer in rule.get(end, [])
        if "podSelector" in peer
    }


@pytest.mark.parametrize("service", OPTIONAL)
def test_an_optional_service_is_a_component_that_every_overlay_lists_and_the_base_lacks(
    service: str,
) -> None:
    for name in manifests.OVERLAYS:
        text = (manifests.FOLDER / f"overlays/{name}/kustomization.yaml").read_text("utf-8")
        assert f"../../components/{service}" in yaml.safe_load(text)["components"], name
    for path in (manifests.FOLDER / "base").iterdir():
        assert service not in path.read_text("utf-8"), f"{path.name}: who leaves it out would have it still"


@pytest.mark.parametrize("name", RENDERED)
def test_the_migrations_run_as_the_services_do_before_them(name: str) -> None:
    job = of_kind(rendered(name), "Job")["migrate"]
    app = job["spec"]["template"]["spec"]["containers"][0]
    gateway = of_kind(rendered(name), "Deployment")["gateway"]["spec"]["template"]["spec"]["containers"][0]
    assert app["args"] == ["db", "migrate"]
    for same in ("image", "envFrom", "securityContext"):
        assert app[same] == gateway[same]
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    assert job["spec"]["activeDeadlineSeconds"] <= 600


@pytest.mark.parametrize("name", RENDERED)
def test_what_scales_scales_by_metrics_that_there_are(name: str) -> None:
    scalers = of_kind(rendered(name), "HorizontalPodAutoscaler")
    deployments = of_kind(rendered(name), "Deployment")
    for service, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == f"uniassist-{service}"
        assert scaler["spec"]["minReplicas"] >= 2
        assert "replicas" not in deployments[service]["spec"], "an apply would undo what the scaler decided"
    kinds = [metric["type"] for metric in scalers["gateway"]["spec"]["metrics"]]
    assert kinds == ["Resource", "Pods"]
    backlog = scalers["worker"]["spec"]["metrics"][0]["external"]["metric"]
    assert backlog == {"name": "uniassist_outbox_backlog", "selector": {"matchLabels": {"status": "pending"}}}
    assert scalers["worker"]["spec"]["maxReplicas"] <= 32, "there are 32 shards"


@pytest.fixture(scope="module")
def driver() -> ExecFile:
    return read_exec_file(manifests.ROOT / "ops/deploy/drivers/kubectl.toml")


def run(script: str, folder: Path, service: str = "gateway", replicas: int = 0, **release: str) -> list[str]:
    """What the example of a driver says to kubectl."""
    (folder / "kubectl").write_text(_KUBECTL)
    (folder / "kubectl").chmod(0o755)
    everything = "\n---\n".join(path.read_text("utf-8") for path in manifests.files())
    (folder / "manifests").write_text(everything)
    named = {"SERVICE": service, "TAG": "1.0", "ENV_DIGEST": "0123", **release}
    subprocess.run(
        ["/bin/sh", "-euc", script],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "SEEN": str(folder),
            "MANIFESTS": str(folder / "manifests"),
            "REPLICAS": str(replicas),
            **{f"UNIASSIST_RELEASE_{name}": value for name, value in named.items()},
        },
        check=True,
        capture_output=True,
        timeout=60,
    )
    return (folder / "said").read_text("utf-8").splitlines()


@pytest.mark.parametrize("service", ROLLOUT)
@pytest.mark.parametrize("verb", ["deploy", "revert"])
def test_the_driver_applies_a_services_own_part_with_the_release_filled_in(
    driver: ExecFile, verb: str, service: str, tmp_path: Path
) -> None:
    said = run(getattr(driver, verb).run, tmp_path, service)
    assert said == [
        f"-n staging apply -l {COMPONENT}={service} -f -",
        f"-n staging scale deployment/uniassist-{service} --replicas 2",
        f"-n staging rollout status deployment/uniassist-{service} --timeout 240s",
    ]
    (applied,) = tmp_path.glob("applied-*")
    assert "unset" not in applied.read_text("utf-8")
    deployment = of_kind(tuple(manifests.parsed(applied.read_text("utf-8"))), "Deployment")[service]
    app = deployment["spec"]["template"]["spec"]["containers"][0]
    assert app["image"] == "uniassist:1.0"
    assert {"name": "UNIASSIST_REVISION", "value": "1.0"} in app["env"], "text, though it looks like a number"
    assert {"name": "UNIASSIST_ENV_DIGEST", "value": "0123"} in app["env"]
    assert app["envFrom"] == [{"secretRef": {"name": "uniassist-env-0123"}}]


def test_the_driver_leaves_alone_what_the_scaler_decided(driver: ExecFile, tmp_path: Path) -> None:
    assert not any("scale" in line for line in run(driver.deploy.run, tmp_path, replicas=7))


def test_the_driver_keeps_an_env_set_as_a_secret_with_each_value_as_it_is(driver: ExecFile, tmp_path: Path) -> None:
    values = {"DATABASE_URL": "postgresql://u:p'w$x@db/uniassist", "KEY": "-----BEGIN-----\na b\n-----END-----"}
    (tmp_path / "env").write_text(written(values))
    assert driver.prepare is not None
    said = run(driver.prepare.run, tmp_path, ENV_FILE=str(tmp_path / "env"))
    assert said[0] == "-n staging apply --server-side -f -"
    assert said[1] == f"-n staging apply -l {COMPONENT}=shared -f -"
    secret = next(
        found
        for path in tmp_path.glob("applied-*")
        if path.read_text("utf-8").startswith("{") and (found := json.loads(path.read_text("utf-8")))
    )
    assert secret["metadata"]["name"] == "uniassist-env-0123"
    assert secret["stringData"] == values


def test_the_driver_stops_and_observes_by_the_same_label(driver: ExecFile, tmp_path: Path) -> None:
    said = run(driver.stop.run, tmp_path, "worker")
    assert said[0] == "-n staging scale deployment/uniassist-worker --replicas 0"
    assert f"-l {COMPONENT}=worker --for=delete" in said[1]
    assert f'-l "{COMPONENT}=$UNIASSIST_RELEASE_SERVICE"' in driver.observe.run
