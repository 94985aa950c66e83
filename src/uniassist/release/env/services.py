"""The services of a release, in the order of a rollout, and where an environment says that they answer.

The runbook's four, and behind provider-plan the providers that the environment names (STAGING_PROVIDERS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from uniassist.errors import SettingsError
from uniassist.settings import Reader
from uniassist.settings.known_services import BY_NAME, PROVIDER, KnownService, of_release, provider_service

PROVIDERS = "STAGING_PROVIDERS"
ROLLOUT_ORDER = tuple(each.name for each in of_release())
URL_VARIABLES = {each.name: each.url_variable for each in of_release()}
_ID = re.compile(r"[a-z][a-z0-9-]{0,40}")


def known(service: str) -> KnownService:
    """What is known of a service by its name."""
    return BY_NAME.get(service) or provider_service(service.removeprefix(PROVIDER))


def services_of(values: Mapping[str, str]) -> tuple[str, ...]:
    """Of a release under this environment. SettingsError names the variable that can't be read."""
    return order_of(_provider_ids(values))


def order_of(provider_ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(each.name for each in of_release(dict.fromkeys(provider_ids)))


def merged(*orders: Iterable[str]) -> tuple[str, ...]:
    """One order of all that any of these has."""
    others = (name for order in orders for name in order if name not in ROLLOUT_ORDER)
    return order_of(name.removeprefix(PROVIDER) for name in others)


def place_of(service: str) -> int:
    """The runbook's number of its step: all providers have the first."""
    return ROLLOUT_ORDER.index(service) + 1 if service in ROLLOUT_ORDER else 1


def later_than(service: str) -> tuple[str, ...]:
    """Those of the four that come after it in a rollout."""
    return ROLLOUT_ORDER[place_of(service) :]


def url_variables(services: Iterable[str]) -> dict[str, str]:
    """The variable that says where a verifier reaches it, by service."""
    return {service: known(service).url_variable for service in services}


def given_urls(values: Mapping[str, str]) -> dict[str, str]:
    """The URLs that the environment names, by service. SettingsError names a variable that holds none."""
    reader = Reader(values)
    named = url_variables(services_of(values))
    found = {service: reader.optional_http_url(variable) for service, variable in named.items()}
    return {service: url for service, url in found.items() if url is not None}


def all_urls(values: Mapping[str, str], driver: str) -> dict[str, str]:
    """Those, and of services of this host (driver `local`) the address that their env set gives them."""
    own = own_addresses(values) if driver == "local" else {}
    return own | given_urls(values)


def own_addresses(values: Mapping[str, str]) -> dict[str, str]:
    """Where services of this host listen by their env set."""
    reader = Reader(values)
    host = reader.text("HOST")
    reached = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not listened on
    ports = {service: known(service).port_variable for service in services_of(values)}
    return {service: f"http://{reached}:{reader.integer(port)}" for service, port in ports.items()}


def _provider_ids(values: Mapping[str, str]) -> list[str]:
    ids = Reader(values).items(PROVIDERS)
    for each in ids:
        if _ID.fullmatch(each) is None or f"{PROVIDER}{each}" in ROLLOUT_ORDER or ids.count(each) > 1:
            raise SettingsError(
                f"{PROVIDERS}: expected ids of providers beside plan, each once, such as reminder; got {each!r}"
            )
    return ids
