"""The four services, in the order of a rollout, and where an environment says that they answer."""

from __future__ import annotations

from collections.abc import Mapping

from uniassist.devstack.plan import PORT_VARIABLES
from uniassist.settings import Reader

ROLLOUT_ORDER = ("provider-plan", "adapter-wechat", "gateway", "worker")
URL_VARIABLES = {
    "provider-plan": "STAGING_PROVIDER_PLAN_BASE_URL",
    "adapter-wechat": "STAGING_ADAPTER_WECHAT_BASE_URL",
    "gateway": "STAGING_GATEWAY_BASE_URL",
    "worker": "STAGING_WORKER_BASE_URL",
}


def given_urls(reader: Reader) -> dict[str, str]:
    """The URLs that the environment names, by service. SettingsError names a variable that holds none."""
    found = {service: reader.optional_http_url(variable) for service, variable in URL_VARIABLES.items()}
    return {service: url for service, url in found.items() if url is not None}


def all_urls(values: Mapping[str, str], driver: str) -> dict[str, str]:
    """Those, and of services of this host (driver `local`) the address that their env set gives them."""
    own = own_addresses(values) if driver == "local" else {}
    return own | given_urls(Reader(values))


def own_addresses(values: Mapping[str, str]) -> dict[str, str]:
    """Where services of this host listen by their env set."""
    reader = Reader(values)
    host = reader.text("HOST")
    reached = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not listened on
    return {service: f"http://{reached}:{reader.integer(port)}" for service, port in PORT_VARIABLES.items()}
