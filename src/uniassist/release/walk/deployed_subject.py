"""What a verification asks: the URLs that were given, else those of what was rolled out here last."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from uniassist.errors import SettingsError
from uniassist.release.checks.verify_subject import VerifySubject
from uniassist.release.drivers.endpoint import ask
from uniassist.release.env.environment import Environment
from uniassist.release.env.services import all_urls, given_urls, services_of, url_variables
from uniassist.release.exit_codes import UsageRefused
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import env_of, verify_env_of
from uniassist.release.revision.git import Names
from uniassist.settings import Reader


def known_urls(environment: Environment, home: Home) -> dict[str, str]:
    """Where services answer, as far as the environment says it or they were rolled out here. Never raises."""
    release, last = home.kept.find(home.deployed().current or "nothing"), home.runs.last(home.environment)
    try:
        given = given_urls(environment.values)
        if release is None or last is None:
            return given
        return all_urls({**env_of(release), **verify_env_of(release)}, last.driver) | given
    except SettingsError:
        return {}


async def running(urls: Mapping[str, str]) -> dict[str, str]:
    """The revision that each service shows; those that don't answer as what they should be are left out."""
    answers = await asyncio.gather(*(ask(url) for url in urls.values()))
    return {
        service: answered.revision
        for service, answered in zip(urls, answers, strict=True)
        if answered.service == service and answered.revision is not None
    }


def subject_by_url(environment: Environment, home: Home, names: Names) -> VerifySubject:
    """What was rolled out here, with all that its env set says, unless the URLs that are given lead elsewhere.

    Then just these. UsageRefused names what is neither given nor known.
    """
    given_by_name = {
        name: value for name, value in environment.values.items() if name.startswith("STAGING_") and value
    }
    given = given_urls(given_by_name)
    release, last = home.kept.find(home.deployed().current or "nothing"), home.runs.last(home.environment)
    if release is None or last is None:
        return VerifySubject.of_runbook(environment.reader(), names)
    own = {**env_of(release), **verify_env_of(release)}
    if _is_all_of_them(given, given_by_name) and not _is_of(own, last.driver, given):
        return VerifySubject.of_runbook(environment.reader(), names)
    # What runs listens where its own env set says, whatever the env file says by now.
    values = {**environment.values, **own, **given_by_name}
    urls = all_urls(values, last.driver)
    variables = url_variables(_needed(values))
    if missing := [variable for service, variable in variables.items() if service not in urls]:
        raise UsageRefused(f"{', '.join(missing)}: required, but not set")
    return VerifySubject.of(Reader(values), urls, names)


def _needed(values: Mapping[str, str]) -> tuple[str, ...]:
    """All but the worker, which is judged by what it consumes."""
    return tuple(each for each in services_of(values) if each != "worker")


def _is_all_of_them(urls: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return all(service in urls for service in _needed(values))


def _is_of(values: Mapping[str, str], driver: str, given: Mapping[str, str]) -> bool:
    """Whether those that are given are of that env set: then its servers are the ones behind them."""
    try:
        own = all_urls(values, driver)
    except SettingsError:
        return False
    return all(url == own.get(service) for service, url in given.items() if service != "worker")
