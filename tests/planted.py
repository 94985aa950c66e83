"""Secrets to plant, each naming the variable that it stands in, and to look for afterwards by what all have."""

from __future__ import annotations

from tests.ports import free_port
from uniassist.settings.variables import VARIABLES

PLANTED = "pl4nted"


def planted_url(variable: str, scheme: str, where: str) -> str:
    return f"{scheme}://someone:{PLANTED}-pass-{variable}@{where}?x={PLANTED}-query-{variable}"


def planted() -> dict[str, str]:
    """In every variable that takes a secret or an address."""
    env: dict[str, str] = {"UNIASSIST_ENV": "staging", "UNIASSIST_APP_AUTH": "off"}
    for variable in VARIABLES.values():
        if variable.kind == "url":
            env[variable.name] = planted_url(variable.name, "http", f"127.0.0.1:{free_port()}/x")
        elif variable.secret:
            env[variable.name] = f"{PLANTED}-whole-{variable.name}"
    env["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization={PLANTED}-header"
    env["UNIASSIST_PROVIDER_TOKEN_OTHER"] = f"{PLANTED}-token"
    env["OTEL_TRACES_EXPORTER"] = "none"
    return env
