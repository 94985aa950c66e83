"""What `up` decides before it starts anything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.ports import free_port

from uniassist.devstack import plan as plans
from uniassist.devstack.state import StateDirectory
from uniassist.errors import SettingsError, StartError
from uniassist.settings import AdapterWechatSettings, GatewaySettings, ProviderPlanSettings, WorkerSettings

_SERVERS = {"database_url": "postgresql://u:p@127.0.0.1:5001/x", "redis_url": "redis://127.0.0.1:6001/0"}


def _environment(tmp_path: Path, **environ: str) -> dict[str, dict[str, str]]:
    made = plans.programs(plans.read(environ), StateDirectory(tmp_path), **_SERVERS)
    return {program.name: dict(program.env) for program in made}


def test_every_service_can_read_its_settings_from_what_it_is_given(tmp_path: Path) -> None:
    env = _environment(tmp_path, GATEWAY_PORT="9001", PROVIDER_PLAN_PORT="9002")
    gateway = GatewaySettings.from_env(env["gateway"])
    adapter = AdapterWechatSettings.from_env(env["adapter-wechat"])
    assert gateway.service.port == 9001
    assert gateway.plan_base_url == "http://127.0.0.1:9002"
    assert adapter.gateway_url == "http://127.0.0.1:9001"
    assert adapter.adapter_secret in gateway.adapter_secrets
    assert WorkerSettings.from_env(env["worker"]).database_url == gateway.database_url
    assert ProviderPlanSettings.from_env(env["provider-plan"]).service.port == 9002


def test_they_start_in_the_runbooks_order_and_the_worker_stops_last(tmp_path: Path) -> None:
    made = plans.programs(plans.read({}), StateDirectory(tmp_path), **_SERVERS)
    runbook = ["provider-plan", "adapter-wechat", "gateway", "worker"]
    assert [program.name for program in made] == ["provider-plan", "provider-reminder", *runbook[1:]]
    assert sorted(plans.STOP_ORDER) == sorted(program.name for program in made)
    assert plans.STOP_ORDER[-1] == "worker"


def test_outside_dev_a_provider_beside_the_four_runs_where_it_has_a_token() -> None:
    token = {"UNIASSIST_PROVIDER_TOKEN_REMINDER": "a-token-of-the-tests-0123456789"}
    four = ["provider-plan", "adapter-wechat", "gateway", "worker"]
    assert list(plans.read({"UNIASSIST_ENV": "staging"}).ports) == four
    assert list(plans.read({"UNIASSIST_ENV": "staging", **token}).ports) == [
        four[0],
        "provider-reminder",
        *four[1:],
    ]


def test_port_is_taken_out_and_the_rest_of_the_callers_environment_stays(tmp_path: Path) -> None:
    env = _environment(tmp_path, PORT="7777", WECHAT_APP_ID="wx1", UNIASSIST_ADAPTER_SECRET="given")
    for service in env.values():
        assert "PORT" not in service
        assert (service["WECHAT_APP_ID"], service["UNIASSIST_ADAPTER_SECRET"]) == ("wx1", "given")


def test_secrets_are_the_same_for_all_and_from_start_to_start(tmp_path: Path) -> None:
    first, second = _environment(tmp_path), _environment(tmp_path)
    for name in plans.GENERATED:
        assert len({service[name] for env in (first, second) for service in env.values()}) == 1


def test_outside_dev_and_test_no_secret_is_made(tmp_path: Path) -> None:
    env = _environment(tmp_path, UNIASSIST_ENV="staging")
    assert not set(plans.GENERATED) & set(env["gateway"])
    with pytest.raises(SettingsError, match="UNIASSIST_ADAPTER_SECRET"):
        GatewaySettings.from_env(env["gateway"])


@pytest.mark.parametrize("name", [*plans.PORT_VARIABLES.values(), "DATABASE_URL", "REDIS_URL"])
def test_a_value_that_does_not_parse_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        plans.read({name: "nonsense"})


def test_every_taken_port_is_named_with_its_variable() -> None:
    with socket.socket() as one, socket.socket() as two:
        for listener in (one, two):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        ports = {"GATEWAY_PORT": str(one.getsockname()[1]), "WORKER_PORT": str(two.getsockname()[1])}
        free = {"ADAPTER_WECHAT_PORT": str(free_port()), "PROVIDER_PLAN_PORT": str(free_port())}
        with pytest.raises(StartError) as refused:
            plans.check_ports(plans.read(ports | free))
    for name, port in ports.items():
        assert f"{name}: port {port} is taken" in str(refused.value)
    assert not any(name in str(refused.value) for name in free)
    plans.check_ports(plans.read(ports | free))


def test_a_port_given_twice_is_refused() -> None:
    port = str(free_port())
    with pytest.raises(StartError, match=f"port {port} is given twice"):
        plans.check_ports(plans.read({"GATEWAY_PORT": port, "WORKER_PORT": port}))


@pytest.mark.parametrize("name", ["GATEWAY_URL", "UNIASSIST_PLAN_PROVIDER_BASE_URL"])
def test_an_empty_value_counts_as_unset(tmp_path: Path, name: str) -> None:
    env = _environment(tmp_path, **{name: "", "GATEWAY_PORT": "9001", "PROVIDER_PLAN_PORT": "9002"})
    assert env["gateway"][name] == {"GATEWAY_URL": "http://127.0.0.1:9001"}.get(name, "http://127.0.0.1:9002")


def test_an_ipv6_loopback_makes_urls_that_services_can_read(tmp_path: Path) -> None:
    env = _environment(tmp_path, HOST="::1", GATEWAY_PORT="9001")
    assert AdapterWechatSettings.from_env(env["adapter-wechat"]).gateway_url == "http://[::1]:9001"
