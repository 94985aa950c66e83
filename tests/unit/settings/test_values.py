"""A value that can't be read is an error that names its variable and what was expected, never a default."""

from __future__ import annotations

import re

import pytest
from tests.unit.settings.environments import SERVICES, STAGING

from uniassist.errors import SettingsError
from uniassist.settings import (
    AdapterWechatSettings,
    GatewaySettings,
    Reader,
    WechatAccountSettings,
    WorkerSettings,
    mask_url,
)
from uniassist.settings.variable import Variable
from uniassist.settings.variables import VARIABLES

OF_KIND = {
    kind: [
        variable for variable in VARIABLES.values() if variable.kind == kind and variable.name != "UNIASSIST_ENV"
    ]
    for kind in ("integer", "boolean", "choice", "url")
}


def read(variable: Variable, value: str) -> object:
    reader = Reader({"UNIASSIST_ENV": "test", variable.name: value})
    match variable.kind:
        case "integer":
            return reader.integer(variable.name)
        case "boolean":
            return reader.optional_boolean(variable.name)
        case "choice":
            return reader.choice(variable.name)
    if variable.name == "DATABASE_URL":
        return reader.database_url()
    return reader.redis_url() if variable.name == "REDIS_URL" else reader.http_url(variable.name)


def refused(variable: Variable, value: str) -> None:
    shown = "***" if variable.secret else repr(mask_url(value) if variable.kind == "url" else value)
    with pytest.raises(SettingsError) as caught:
        read(variable, value)
    assert str(caught.value) == f"{variable.name}: expected {variable.expected()}, got {shown}"


@pytest.mark.parametrize("variable", OF_KIND["integer"], ids=lambda variable: variable.name)
def test_a_number_is_one_within_its_bounds(variable: Variable) -> None:
    assert variable.low is not None
    assert variable.high is not None
    for value in (
        "ten",
        "1.5",
        "0x10",
        "1 000",
        "1e3",
        "١",
        str(variable.low - 1),
        str(variable.high + 1),
        "9" * 30,
    ):
        refused(variable, value)
    for number in (variable.low, variable.high):
        assert read(variable, f" {number} ") == number


@pytest.mark.parametrize("variable", OF_KIND["boolean"], ids=lambda variable: variable.name)
def test_yes_and_no_are_written_in_four_ways_and_no_other(variable: Variable) -> None:
    for value in ("maybe", "y", "2", "truth"):
        refused(variable, value)
    assert {read(variable, value) for value in ("true", "1", "YES", "On")} == {True}
    assert {read(variable, value) for value in ("false", "0", "NO", "Off")} == {False}


@pytest.mark.parametrize("variable", OF_KIND["choice"], ids=lambda variable: variable.name)
def test_a_choice_is_one_of_its_own(variable: Variable) -> None:
    refused(variable, "none-of-them")
    for value in variable.choices:
        assert read(variable, value) == value


@pytest.mark.parametrize("variable", OF_KIND["url"], ids=lambda variable: variable.name)
def test_an_address_has_a_scheme_that_we_speak_and_a_port_that_can_be(variable: Variable) -> None:
    for value in (
        "localhost:8787",
        "ftp://host/x",
        "http:",
        "//host",
        f"{variable.name}",
        "http://host:port",
        "http://[1",
    ):
        refused(variable, value)


@pytest.mark.parametrize("variable", [*OF_KIND["integer"], *OF_KIND["choice"]], ids=lambda variable: variable.name)
def test_an_empty_value_is_the_default_or_missing(variable: Variable) -> None:
    if variable.default is None:
        with pytest.raises(
            SettingsError,
            match=f"^{variable.name}: required, but not set; expected {re.escape(variable.expected())}",
        ):
            read(variable, "")
    else:
        assert str(read(variable, "  ")) == variable.default


@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        ("gateway", "GATEWAY_PORT", "http"),
        ("gateway", "PORT", "0"),
        ("gateway", "UNIASSIST_LOG_LEVEL", "loud"),
        ("gateway", "GATEWAY_RATE_LIMIT_PER_USER", "-1"),
        ("gateway", "DATABASE_URL", "mysql://db/x"),
        ("gateway", "OTEL_SDK_DISABLED", "perhaps"),
        ("worker", "REDIS_URL", "http://redis"),
        ("worker", "OUTBOX_BATCH_SIZE", "0"),
        ("worker", "STREAM_CONSUMER_BLOCK_MS", "9"),
        ("adapter-wechat", "WECHAT_API_BASE_URL", "api.weixin.qq.com"),
        ("adapter-wechat", "WECHAT_JSON_ENTRANCE", "2"),
        ("provider-plan", "PROVIDER_PLAN_PORT", "65536"),
    ],
)
def test_a_service_refuses_to_start_on_it(service: str, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: expected "):
        SERVICES[service]({**STAGING, name: value})


@pytest.mark.parametrize(
    ("service", "missing"),
    [
        ("gateway", ["DATABASE_URL", "REDIS_URL", "UNIASSIST_ADAPTER_SECRET", "UNIASSIST_PROVIDER_CONTEXT_TOKEN"]),
        ("worker", ["DATABASE_URL", "REDIS_URL"]),
        ("adapter-wechat", ["DATABASE_URL", "REDIS_URL", "UNIASSIST_ADAPTER_SECRET", "WECHAT_TOKEN"]),
    ],
)
def test_a_service_names_what_it_lacks(service: str, missing: list[str]) -> None:
    for name in missing:
        with pytest.raises(SettingsError, match=f"^{name}: required, but not set; expected "):
            SERVICES[service]({key: value for key, value in STAGING.items() if key != name})


def test_dev_listens_to_nobody_else() -> None:
    dev = {**STAGING, "UNIASSIST_ENV": "dev", "HOST": "0.0.0.0"}
    with pytest.raises(SettingsError, match=r"^HOST: dev listens on loopback only"):
        GatewaySettings.from_env(dev)
    assert GatewaySettings.from_env({**dev, "UNIASSIST_ENV": "test"}).service.host == "0.0.0.0"


def test_the_port_of_the_one_service_wins_and_is_the_one_to_name() -> None:
    own = GatewaySettings.from_env({**STAGING, "GATEWAY_PORT": "9001", "PORT": "9002"}).service
    assert (own.port, own.port_variable) == (9002, "PORT")
    usual = GatewaySettings.from_env({**STAGING, "GATEWAY_PORT": "9001"}).service
    assert (usual.port, usual.port_variable) == (9001, "GATEWAY_PORT")


def test_the_global_stream_and_the_consumer_follow_from_the_rest() -> None:
    streams = WorkerSettings.from_env({**STAGING, "UNIASSIST_STREAM_PREFIX": "p:", "PORT": "9002"}).streams
    assert (streams.global_key, streams.consumer.endswith("-9002")) == ("p:all", True)
    named = WorkerSettings.from_env(
        {**STAGING, "UNIASSIST_STREAM_GLOBAL_KEY": "g", "UNIASSIST_STREAM_CONSUMER": "c"}
    ).streams
    assert (named.global_key, named.consumer) == ("g", "c")


def test_the_adapter_and_its_check_read_one_account() -> None:
    assert AdapterWechatSettings.from_env(STAGING).account == WechatAccountSettings.from_env(STAGING)


def test_the_unsigned_entrance_is_open_in_dev_only_unless_it_is_said() -> None:
    def is_open(**more: str) -> bool:
        return AdapterWechatSettings.from_env({**STAGING, **more}).json_entrance

    assert [is_open(UNIASSIST_ENV=env) for env in ("dev", "test", "staging", "prod")] == [True, True, False, False]
    assert is_open(WECHAT_JSON_ENTRANCE="true")
    assert not is_open(UNIASSIST_ENV="dev", WECHAT_JSON_ENTRANCE="false")
