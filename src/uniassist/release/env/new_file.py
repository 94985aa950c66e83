"""An env file for a staging on this host, with nothing left to fill in: secrets made, ports free, URLs derived."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from uniassist.devstack.server import free_port, port_is_taken
from uniassist.release.env.file import written
from uniassist.release.env.services import ROLLOUT_ORDER, URL_VARIABLES, known
from uniassist.release.exit_codes import UsageRefused
from uniassist.settings.variables import VARIABLES

_HOST = "127.0.0.1"
_SERVERS = ("DATABASE_URL", "REDIS_URL")
_PORTS = {service: known(service).port_variable for service in ROLLOUT_ORDER}
# The runbook's own name of it.
_GROUP = "ua-delivery-staging"


def values_for(environment: str, given: Mapping[str, str]) -> dict[str, str]:
    """The env set. UsageRefused names the servers that aren't given: they can't be guessed."""
    if missing := [name for name in _SERVERS if not given.get(name, "").strip()]:
        example = " ".join(f"{name}={VARIABLES[name].example}" for name in missing)
        raise UsageRefused(f"{', '.join(missing)}: required; give them in front: {example} uniassist release init")
    ports = dict(zip(_PORTS, _ports(_PORTS.values()), strict=True))
    urls = {service: f"http://{_HOST}:{port}" for service, port in ports.items()}
    token = secrets.token_hex(16)
    return {
        "UNIASSIST_ENV": environment,
        "HOST": _HOST,
        **{variable: str(ports[service]) for service, variable in _PORTS.items()},
        **{name: given[name] for name in _SERVERS},
        "UNIASSIST_ADAPTER_SECRET": secrets.token_hex(16),
        "UNIASSIST_PROVIDER_CONTEXT_TOKEN": token,
        "UNIASSIST_PROVIDER_TOKEN_PLAN": secrets.token_hex(16),
        "STAGING_CONTEXT_TOKEN": token,
        "WECHAT_TOKEN": secrets.token_hex(16),
        "UNIASSIST_APP_AUTH": "off",
        "UNIASSIST_STREAM_GROUP": _GROUP,
        "UNIASSIST_PLAN_PROVIDER_BASE_URL": urls["provider-plan"],
        "GATEWAY_URL": urls["gateway"],
        **{variable: urls[service] for service, variable in URL_VARIABLES.items()},
    }


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
    """The defaults where all are free, else others: two systems on a host are told apart by all four."""
    defaults = [int(VARIABLES[variable].default or 0) for variable in variables]
    if not any(port_is_taken(port, _HOST) for port in defaults):
        return defaults
    found: list[int] = []
    while len(found) < len(defaults):  # ends: free_port gives up when there is none
        if (port := free_port()) not in found:
            found.append(port)
    return found
