"""Which services a release has, in which order, and where they are: the four, and providers that are named."""

from __future__ import annotations

import pytest

from uniassist.errors import SettingsError
from uniassist.release.env import services
from uniassist.release.env.check import check_env
from uniassist.release.report.checklist import CheckFailed

FOUR = ("provider-plan", "adapter-wechat", "gateway", "worker")


def test_without_a_word_of_others_they_are_the_runbooks_four() -> None:
    assert services.ROLLOUT_ORDER == services.services_of({}) == FOUR
    assert list(services.own_addresses({})) == list(FOUR)
    assert services.own_addresses({})["provider-plan"] == "http://127.0.0.1:8890"


def test_any_number_of_providers_follows_the_plan_in_the_order_given() -> None:
    values = {
        "STAGING_PROVIDERS": "weather, reminder",
        "PROVIDER_WEATHER_PORT": "9001",
        "STAGING_PROVIDER_WEATHER_BASE_URL": "http://weather.internal/",
        "STAGING_GATEWAY_BASE_URL": "http://gateway.internal",
    }
    six = ("provider-plan", "provider-weather", "provider-reminder", *FOUR[1:])
    assert services.services_of(values) == six
    assert services.given_urls(values) == {
        "provider-weather": "http://weather.internal",
        "gateway": "http://gateway.internal",
    }
    own = services.own_addresses(values)
    assert (own["provider-weather"], own["provider-reminder"]) == ("http://127.0.0.1:9001", "http://127.0.0.1:8891")
    assert [services.place_of(each) for each in six] == [1, 1, 1, 2, 3, 4], "the runbook's numbers stay"
    assert services.later_than("provider-weather") == services.later_than("provider-plan") == FOUR[1:]
    assert services.merged(FOUR, six, services.order_of(["reminder", "notes"])) == (
        *six[:3],
        "provider-notes",
        *six[3:],
    )


@pytest.mark.parametrize("given", ["plan", "reminder,reminder", "Reminder", "a b", "../x"])
def test_what_is_no_list_of_other_providers_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^STAGING_PROVIDERS: expected ids of providers beside plan"):
        services.services_of({"STAGING_PROVIDERS": given})


def test_a_provider_of_somebody_elses_has_no_port_by_itself() -> None:
    with pytest.raises(SettingsError, match=r"^PROVIDER_WEATHER_PORT: required, but not set"):
        services.own_addresses({"STAGING_PROVIDERS": "weather"})


def test_preflight_finds_a_bad_list_of_providers() -> None:
    with pytest.raises(CheckFailed, match="STAGING_PROVIDERS: expected ids"):
        check_env({"UNIASSIST_ENV": "staging", "STAGING_PROVIDERS": "plan"}, "staging", is_file=True)
    with pytest.raises(
        CheckFailed, match="UNIASSIST_REMINDER_PROVIDER_BASE_URL: required where reminder is released"
    ):
        check_env({"UNIASSIST_ENV": "staging", "STAGING_PROVIDERS": "reminder"}, "staging", is_file=True)
