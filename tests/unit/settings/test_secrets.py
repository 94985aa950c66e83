"""What is secret is strong outside dev and test, replaced where it was an example, and never shown."""

from __future__ import annotations

import pytest
from tests.unit.settings.environments import SECRETS, SERVICES, STAGING, STRONG

from uniassist.errors import SettingsError
from uniassist.settings import Reader, Secret, is_placeholder, mask_url

READ = [(service, name) for name, services in SECRETS.items() for service in services]


@pytest.mark.parametrize("service", SERVICES)
def test_a_complete_environment_is_accepted(service: str) -> None:
    SERVICES[service](STAGING)


@pytest.mark.parametrize("env", ["staging", "prod"])
@pytest.mark.parametrize(("service", "name"), READ)
def test_a_weak_secret_is_refused_outside_dev(service: str, name: str, env: str) -> None:
    weak = "only-15-letters"
    with pytest.raises(SettingsError) as caught:
        SERVICES[service]({**STAGING, "UNIASSIST_ENV": env, name: weak})
    assert str(caught.value) == f"{name}: too short for {env}; expected at least 16 characters"


@pytest.mark.parametrize("env", ["dev", "test"])
@pytest.mark.parametrize(("service", "name"), READ)
def test_a_weak_secret_is_fine_in_dev_and_test(service: str, name: str, env: str) -> None:
    SERVICES[service]({**STAGING, "UNIASSIST_ENV": env, name: "weak"})


@pytest.mark.parametrize(("service", "name"), READ)
def test_sixteen_characters_are_enough(service: str, name: str) -> None:
    SERVICES[service]({**STAGING, name: "just-16-letters!"})


def test_the_platform_decides_how_long_its_token_may_be() -> None:
    SERVICES["adapter-wechat"]({**STAGING, "WECHAT_TOKEN": "abc"})
    with pytest.raises(
        SettingsError, match=r"^WECHAT_TOKEN: too short for staging; expected at least 3 characters"
    ):
        SERVICES["adapter-wechat"]({**STAGING, "WECHAT_TOKEN": "ab"})


@pytest.mark.parametrize(("service", "name"), [*READ, ("worker", "DATABASE_URL"), ("worker", "REDIS_URL")])
@pytest.mark.parametrize(
    "value", ["change-me-change-me-now", "<the secret of staging>", "http://gateway.staging.example"]
)
def test_an_example_that_nobody_replaced_is_refused_outside_dev(service: str, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: still a placeholder"):
        SERVICES[service]({**STAGING, name: value})


@pytest.mark.parametrize(
    "name", [name for name in SECRETS if not name.endswith(("PREVIOUS", "SECRET", "AES_KEY", "_ACCESS"))]
)
@pytest.mark.parametrize("value", ["", "   "])
def test_a_secret_that_is_needed_and_empty_is_missing(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: required, but not set"):
        SERVICES["gateway"]({**STAGING, name: value})


def test_a_secret_shows_itself_to_nobody_but_who_asks() -> None:
    settings = SERVICES["gateway"](STAGING)
    assert STRONG not in repr(settings)
    secret = Secret(STRONG)
    assert (str(secret), repr(secret), f"{secret}", secret.reveal()) == ("Secret(***)",) * 3 + (STRONG,)
    assert secret == Secret(STRONG) != Secret("another")


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_an_address_with_a_password_is_not_repeated_by_the_error_about_it(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SERVICES["worker"]({**STAGING, name: f"http://me:{STRONG}@db.internal/x"})
    assert str(caught.value).startswith(f"{name}: expected a URL")
    assert STRONG not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pass@db:5432/x?sslmode=require", "postgresql://me:***@db:5432/x?***"),
        ("redis://:p%40ss@redis/0", "redis://:***@redis/0"),
        ("redis://:pa/ss@redis/0", "redis://:***@redis/0"),
        ("redis://:p@ss@redis:1,other:2/0", "redis://:***@redis:1,other:2/0"),
        ("redis://token@redis/0", "redis://***@redis/0"),
        ("redis://redis/0", "redis://redis/0"),
        ("http://[::1]:80/x?key=pass", "http://[::1]:80/x?***"),
        ("http://h/x#pass", "http://h/x?***"),
        ("postgres://db/x?password=p@ss", "***"),
        ("postgres://me:p?ss@db/x", "***"),
        ("pass", "***"),
        ("postgresql:pass@db", "***"),
    ],
)
def test_a_masked_address_keeps_all_but_password_and_query(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize("name", ["UNIASSIST_ENV", "GATEWAY_PORT", "WECHAT_AI_MARK", "GATEWAY_URL"])
def test_a_secret_in_the_wrong_variable_is_not_repeated_by_the_error_about_it(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SERVICES["adapter-wechat" if name != "GATEWAY_PORT" else "gateway"]({**STAGING, name: STRONG})
    assert str(caught.value).startswith(name)
    assert STRONG not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["CHANGE_ME", "changeme", "...", "xxxx", "TODO later", "your-secret-here", "password"]
)
def test_what_people_leave_in_examples_is_known(value: str) -> None:
    assert is_placeholder(value)
    assert not is_placeholder(STRONG)


def test_whether_apps_need_a_token_is_said_outside_dev() -> None:
    unsaid = {name: value for name, value in STAGING.items() if name != "UNIASSIST_APP_AUTH"}
    with pytest.raises(SettingsError, match=r"^UNIASSIST_APP_AUTH: required"):
        SERVICES["gateway"](unsaid)
    SERVICES["gateway"]({**unsaid, "UNIASSIST_ENV": "dev"})
    without_key = {**STAGING, "UNIASSIST_APP_JWT_KEY": ""}
    with pytest.raises(SettingsError, match=r"^UNIASSIST_APP_JWT_KEY: required"):
        SERVICES["gateway"](without_key)
    SERVICES["gateway"]({**without_key, "UNIASSIST_APP_AUTH": "off"})


def test_an_unknown_environment_is_no_dev() -> None:
    with pytest.raises(
        SettingsError, match=r"^UNIASSIST_ENV: expected one of dev, test, staging, prod, got 'stage'$"
    ):
        Reader({"UNIASSIST_ENV": "stage"})
