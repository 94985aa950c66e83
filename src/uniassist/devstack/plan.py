"""What `up` will run: ports, environment and command lines, decided before anything is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uniassist import terminal
from uniassist.devstack.child import Program
from uniassist.devstack.server import port_is_taken
from uniassist.devstack.state import StateDirectory
from uniassist.errors import StartError
from uniassist.settings import (
    AdapterWechatSettings,
    GatewaySettings,
    ProviderPlanSettings,
    ProviderReminderSettings,
    Reader,
    WorkerSettings,
)
from uniassist.settings.known_services import SERVICES
from uniassist.settings.masking import masker_of

# In the order of their start, which is the runbook's.
PORT_VARIABLES: dict[str, str] = {each.name: each.port_variable for each in SERVICES}
# What each reads at its start.
SETTINGS: dict[str, Callable[[Mapping[str, str]], object]] = {
    "gateway": GatewaySettings.from_env,
    "adapter-wechat": AdapterWechatSettings.from_env,
    "provider-plan": ProviderPlanSettings.from_env,
    "provider-reminder": ProviderReminderSettings.from_env,
    "worker": WorkerSettings.from_env,
}
# The worker goes last, so that it delivers what the others still accept.
_LAST = ("adapter-wechat", "gateway", "worker")
STOP_ORDER = (*_LAST[:2], *(name for name in PORT_VARIABLES if name not in _LAST), "worker")
GENERATED = ("UNIASSIST_ADAPTER_SECRET", "UNIASSIST_PROVIDER_CONTEXT_TOKEN", "WECHAT_TOKEN")


@dataclass(frozen=True)
class Plan:
    """`database_url`, `redis_url` None: an embedded server is to be started."""

    host: str
    ports: Mapping[str, int]
    database_url: str | None
    redis_url: str | None
    environ: Mapping[str, str]

    def url(self, service: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.ports[service]}"


def read(environ: Mapping[str, str]) -> Plan:
    """SettingsError names the variable at fault. PORT is for a service of its own, not for `up`."""
    cleaned = {name: value for name, value in environ.items() if name != "PORT"}
    reader = Reader(cleaned)
    database_url = reader.database_url().reveal() if reader.optional("DATABASE_URL") else None
    redis_url = reader.redis_url().reveal() if reader.optional("REDIS_URL") else None
    ports = {service: reader.integer(PORT_VARIABLES[service]) for service in services(cleaned)}
    return Plan(reader.text("HOST"), ports, database_url, redis_url, cleaned)


def services(environ: Mapping[str, str]) -> list[str]:
    """Those that run. Outside dev and test a provider beside the four runs where its token is set: none is made."""
    strict = Reader(environ).strict
    return [
        each.name
        for each in SERVICES
        if each.is_of_every_release or not strict or environ.get(each.token_variable or "", "").strip()
    ]


def check_settings(plan: Plan) -> None:
    """What would stop a service at its start stops `up` before anything runs; what `up` makes itself is assumed."""
    assumed = {"DATABASE_URL": "postgresql://127.0.0.1/uniassist", "REDIS_URL": "redis://127.0.0.1/0"}
    if not Reader(plan.environ).strict:
        assumed |= dict.fromkeys(GENERATED, "made-by-up-0123456789abcdef")
    env = assumed | {name: value for name, value in plan.environ.items() if value}
    for service in plan.ports:
        SETTINGS[service](env)


def check_ports(plan: Plan) -> None:
    """StartError that names every taken port with the variable that moves it."""
    twice = [port for port in plan.ports.values() if list(plan.ports.values()).count(port) > 1]
    if twice:
        raise StartError(
            f"{', '.join(PORT_VARIABLES.values())}: port {twice[0]} is given twice; expected different ones"
        )
    taken = [
        f"{PORT_VARIABLES[service]}: port {port} is taken; stop what uses it, or set {PORT_VARIABLES[service]}"
        for service, port in plan.ports.items()
        if port_is_taken(port, plan.host)
    ]
    if taken:
        raise StartError("\n".join(taken))


def programs(plan: Plan, directory: StateDirectory, *, database_url: str, redis_url: str) -> list[Program]:
    """All services. Secrets that the environment doesn't bring are made, in dev and test only."""
    env = dict(plan.environ) | {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    strict = Reader(plan.environ).strict
    for name in GENERATED:
        if not env.get(name) and not strict:
            env[name] = directory.secret(name)
    made = {
        "UNIASSIST_REVISION": _revision(),
        **{
            each.base_url_variable: plan.url(each.name)
            for each in SERVICES
            if each.base_url_variable is not None and each.name in plan.ports
        },
        "GATEWAY_URL": plan.url("gateway"),
    }
    if not strict:
        made["UNIASSIST_PLAN_PUBLIC_URL"] = plan.url("provider-plan")
    env |= {name: value for name, value in made.items() if not env.get(name)}
    terminal.hide(masker_of(env))
    return [
        Program(
            name=service,
            command=[sys.executable, "-m", "uniassist.cli.main", service],
            env=env | {PORT_VARIABLES[service]: str(port)},
            url=plan.url(service),
            log=directory.logs / f"{service}.log",
        )
        for service, port in plan.ports.items()
    ]


def _revision() -> str:
    """The checkout's commit, so that /health says what runs; where there is none, `unknown`."""
    try:
        done = subprocess.run(
            ["git", "describe", "--tags", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=3,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
