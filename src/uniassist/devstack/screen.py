"""What `up` and `status` show: one screen that says what runs where and what to try next."""

from __future__ import annotations

import json
import os
import time
import urllib.error
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uniassist.devstack.direct import direct
from uniassist.devstack.state import RunState, ServiceState
from uniassist.settings import Reader, mask_url
from uniassist.settings.console import ConsoleSettings

_STYLES = {"ok": "green", "degraded": "yellow", "failing": "red", "no answer": "red", "down": "red"}


class Seen(msgspec.Struct, rename="camel", frozen=True):
    """A service and what its /health says: ok, degraded, failing, no answer or down."""

    name: str
    url: str
    pid: int | None
    restarts: int
    health: str
    failing: list[str]
    revision: str | None = None


def look(state: RunState) -> list[Seen]:
    return [_look_at(service) for service in state.services]


def _look_at(service: ServiceState) -> Seen:
    health, failing, revision = "down", list[str](), None
    if service.pid is not None:
        body = _health(f"{service.url}/health")
        if body is None:
            health = "no answer"
        else:
            failing = [name for name, state in body.get("checks", {}).items() if state != "ok"]
            health = "failing" if not body.get("ok") else "degraded" if body.get("degraded") else "ok"
            revision = body.get("revision")
    return Seen(service.name, service.url, service.pid, service.restarts, health, failing, revision)


def _health(url: str) -> dict[str, Any] | None:
    try:
        with direct.open(url, timeout=2) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        try:
            return dict(json.load(error))
        except ValueError:
            return None
    except (urllib.error.URLError, OSError, ValueError):
        return None


def show(console: Console, state: RunState, seen: list[Seen], directory: str) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("service", "where", "process", "health", "restarts"):
        table.add_column(column)
    for service in seen:
        said = service.health + (f": {', '.join(service.failing)}" if service.failing else "")
        table.add_row(
            service.name,
            service.url,
            str(service.pid or "-"),
            Text(said, style=_STYLES.get(service.health, "")),
            str(service.restarts),
        )
    console.print(table)
    for name, url in (("postgres", state.database_url), ("redis", state.redis_url)):
        console.print(f"{name:<9} {mask_url(url)}", highlight=False, soft_wrap=True)
    since = time.strftime("%H:%M:%S", time.localtime(state.since))
    console.print(f"state     {directory} (logs in logs/), process {state.pid}, since {since}", soft_wrap=True)


def show_next(console: Console, state: RunState, *, attached: bool, command: str, state_option: str) -> None:
    """`command`: how our executable is called from here; `state_option`: the option that names this system."""
    gateway = next(service.url for service in state.services if service.name == "gateway")
    body = {
        "schemaVersion": "v0",
        "traceId": "try-1",
        "userId": "user-1",
        "sessionId": "first",
        "source": "app",
        "timestampMs": int(time.time() * 1000),
        "text": "帮我做一个周末的计划",
    }
    curl = (
        f"curl -s {gateway}/v0/ingest -H 'content-type: application/json' "
        f"-d '{json.dumps(body, ensure_ascii=False, separators=(',', ':'))}'"
    )
    lines = [
        "",
        "Write a message:",
        f"  {curl}",
        f"  curl -s '{gateway}/v0/timeline?sessionId=first'",
        "or, shorter:",
        f'  {command} send "帮我做一个周末的计划" --session first{state_option}',
        f"  {command} timeline first --follow{state_option}",
        *([f"or on a page: {gateway}/console"] if ConsoleSettings.read(Reader(os.environ)) is not None else []),
        f"API: {gateway}/docs    more: {command} status, outbox stats, doctor, --help",
        "Ctrl-C drains and stops it." if attached else f"Stop it with: {command} down{state_option}",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
