"""Where the console is served, and to whom: off outside dev, and never without a way to tell who is there."""

from __future__ import annotations

import pytest
from tests.unit.settings.environments import STAGING, STRONG

from uniassist.errors import SettingsError
from uniassist.settings import GatewaySettings
from uniassist.settings.console import ConsoleSettings

DEV = STAGING | {"UNIASSIST_ENV": "dev"}
TOKENS = {"UNIASSIST_CONSOLE": "true", "UNIASSIST_CONSOLE_TOKENS": f"olga:act:{STRONG}a, rita:read:{STRONG}b"}


def console(environ: dict[str, str]) -> ConsoleSettings | None:
    return GatewaySettings.from_env(environ).console


def test_it_is_off_outside_dev_unless_it_is_switched_on() -> None:
    assert console(STAGING) is None
    assert console(STAGING | {"UNIASSIST_CONSOLE_TOKENS": f"olga:act:{STRONG}"}) is None
    assert console(DEV | {"UNIASSIST_CONSOLE": "false"}) is None


def test_in_dev_this_machine_needs_no_token_until_there_are_some() -> None:
    found = console(DEV)
    assert found is not None
    assert (found.is_open, found.operators) == (True, ())
    assert found.services["worker"] == "http://127.0.0.1:8789"
    with_tokens = console(DEV | TOKENS)
    assert with_tokens is not None
    assert not with_tokens.is_open


def test_outside_dev_it_wants_to_know_who_is_there() -> None:
    with pytest.raises(SettingsError, match="UNIASSIST_CONSOLE_TOKENS: required"):
        console(STAGING | {"UNIASSIST_CONSOLE": "true"})
    found = console(STAGING | TOKENS)
    assert found is not None
    assert [(each.name, each.role) for each in found.operators] == [("olga", "act"), ("rita", "read")]
    assert (found.is_open, found.services) == (False, {})
    assert STRONG not in repr(found)


def test_a_proxy_s_word_is_another_way() -> None:
    header = {"UNIASSIST_CONSOLE": "true", "UNIASSIST_CONSOLE_USER_HEADER": "X-Forwarded-User"}
    with pytest.raises(SettingsError, match="GATEWAY_TRUSTED_PROXIES"):
        console(STAGING | header)
    more = {"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8", "UNIASSIST_CONSOLE_ACTORS": "ada, bob"}
    found = console(STAGING | header | more)
    assert found is not None
    assert (found.user_header, found.actors) == ("x-forwarded-user", frozenset({"ada", "bob"}))


@pytest.mark.parametrize(
    "tokens",
    [
        "olga-and-no-role-at-all",
        f"olga:admin:{STRONG}",
        "olga:act:too-short-a-one",
        f":act:{STRONG}",
        f"olga:act:{STRONG},olga:read:{STRONG}x",
        f"olga:act:{STRONG},rita:read:{STRONG}",
        f"ol ga:act:{STRONG}",
    ],
)
def test_tokens_that_can_t_be_read_stop_it_and_aren_t_shown(tokens: str) -> None:
    with pytest.raises(SettingsError, match="UNIASSIST_CONSOLE_TOKENS: entry") as refused:
        console(STAGING | TOKENS | {"UNIASSIST_CONSOLE_TOKENS": tokens})
    assert STRONG not in str(refused.value)


@pytest.mark.parametrize("services", ["worker", "worker=ftp://x", "=http://x", "worker=http://"])
def test_services_are_names_with_urls(services: str) -> None:
    with pytest.raises(SettingsError, match="UNIASSIST_CONSOLE_SERVICES: expected name=URL"):
        console(STAGING | TOKENS | {"UNIASSIST_CONSOLE_SERVICES": services})
