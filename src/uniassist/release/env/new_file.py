"""An env file for a staging on this host, with nothing left to fill in: secrets made, ports free, URLs derived."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from uniassist.devstack.server import free_port, port_is_taken
from uniassist.errors import SettingsError
from uniassist.release.env.file import written
from uniassist.release.env.services import PROVIDERS, known, services_of
from uniassist.release.exit_codes import UsageRefused
from uniassist.settings.known_services import BY_NAME, KnownService
from uniassist.settings.variables import VARIABLES

_HOST = "127.0.0.1"
_SERVERS = ("DATABASE_URL", "REDIS_URL")
# The runbook's own name of it.
_GROUP = "ua-delivery-staging"


def values_for(environment: str, given: Mapping[str, str]) -> dict[str, str]:
    """The env set, with the providers that STAGING_PROVIDERS of `given` names beside the four.

    UsageRefused names the servers that aren't given, for they can't be guessed, and providers that aren't ours.
    """
    if missing := [name for name in _SERVERS if not given.get(name, "").strip()]:
        example = " ".join(f"{name}={VARIABLES[name].example}" for name in missing)
        raise UsageRefused(f"{', '.join(missing)}: required; give them in front: {example} uniassist release init")
    services = _services(given)
    ports = dict(zip(services, _ports(each.port_variable for each in services.values()), strict=True))
    urls = {service: f"http://{_HOST}:{port}" for service, port in ports.items()}
    token = secrets.token_hex(16)
    named = {PROVIDERS: given[PROVIDERS]} if given.get(PROVIDERS, "").strip() else {}
    return {
        "UNIASSIST_ENV": environment,
        "HOST": _HOST,
        **{services[service].port_variable: str(port) for service, port in ports.items()},
        **{name: given[name] for name in _SERVERS},
        "UNIASSIST_ADAPTER_SECRET": secrets.token_hex(16),
        "UNIASSIST_PROVIDER_CONTEXT_TOKEN": token,
        **{each.token_variable: secrets.token_hex(16) for each in services.values() if each.token_variable},
        "STAGING_CONTEXT_TOKEN": token,
        "WECHAT_TOKEN": secrets.token_hex(16),
        "UNIASSIST_APP_AUTH": "off",
        "UNIASSIST_STREAM_GROUP": _GROUP,
        **{each.base_url_variable: urls[name] for name, each in services.items() if each.base_url_variable},
        "GATEWAY_URL": urls["gateway"],
        **named,
        **{each.url_variable: urls[name] for name, each in services.items()},
    }


def _services(given: Mapping[str, str]) -> dict[str, KnownService]:
    """Of the release, by name."""
    try:
        names = services_of(given)
    except SettingsError as error:
        raise UsageRefused(str(error)) from None
    if others := [name for name in names if name not in BY_NAME]:
        raise UsageRefused(f"{PROVIDERS}: where {', '.join(others)} answers can't be guessed; add it to the file")
    return {name: known(name) for name in names}


def write(path: Path, values: Mapping[str, str]) -> None:
    """For its owner only. UsageRefused when there is a file already: it may be what runs."""
    head = (
        "# Written by `uniassist release init`; it holds secrets. Each variable: ops/deploy/staging/env.example\n"
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageRefused(f"{path} is there already, and stays as it is; --env-file names another") from None
    except OSError as error:
        raise UsageRefused(f"{path} can't be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(head + written(values))


def _ports(variables: Iterable[str]) -> list[int]:
    """The defaults where all are free, else others: two systems on a host are told apart by all of them."""
    defaults = [int(VARIABLES[variable].default or 0) for variable in variables]
    if not any(port_is_taken(port, _HOST) for port in defaults):
        return defaults
    found: list[int] = []
    while len(found) < len(defaults):  # ends: free_port gives up when there is none
        if (port := free_port()) not in found:
            found.append(port)
    return found
