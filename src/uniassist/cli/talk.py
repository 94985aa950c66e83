"""`uniassist send` and `uniassist timeline`: for a person at a terminal."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Annotated, Any, TypeVar

import typer

from uniassist.cli.copyable import copyable
from uniassist.cli.event_lines import line_of
from uniassist.cli.local_zone import local_zone
from uniassist.cli.system import SystemEnvFile
from uniassist.cli.where import Gateway, StateDir, gateway
from uniassist.client import Away, Client, Refused
from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck
from uniassist.contracts.timeline import TimelineEvent
from uniassist.errors import StartError

Url = Annotated[str | None, typer.Option("--url", help="The gateway. Default: the one that runs here.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts, one document or one event a line.")]
AppToken = Annotated[
    str | None,
    typer.Option(
        "--app-token",
        metavar="TOKEN",
        help="Where app authentication is on. Default: STAGING_APP_TOKEN of the env file, or of the shell.",
    ),
]
T = TypeVar("T")


def register(app: typer.Typer) -> None:
    app.command("send", help="Write a message, show what comes back. As a user of the app would.")(_send)
    app.command("timeline", help="Show a session's timeline. --follow stays and shows what comes.")(_timeline)


def _send(
    text: Annotated[str, typer.Argument(help="The message.")],
    session_id: Annotated[str | None, typer.Option("--session", help="Default: a new session.")] = None,
    user_id: Annotated[
        str | None, typer.Option("--user", help="Who writes. Default: whose app token it is, else user-1.")
    ] = None,
    locale: Annotated[
        str | None, typer.Option("--locale", help="Such as en or zh-CN; default: by the text.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Such as Europe/Berlin; default: this machine's.")
    ] = None,
    wait_seconds: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for providers.")] = 10.0,
    url: Url = None,
    app_token: AppToken = None,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    as_json: Json = False,
) -> None:
    where = gateway(url, state_dir, env_file, app_token)
    talked = _send_and_watch(
        _client(where, user_id),
        text,
        session_id or f"session-{uuid.uuid4().hex[:8]}",
        wait_seconds,
        locale=locale,
        timezone=timezone or local_zone(),
        quiet=as_json,
    )
    ack, events = _run(talked)
    if as_json:
        print(codec.encode({"ack": ack, "events": events}).decode())
        return
    answered = {event.run_id for event in events if _closes(event)}
    missing = [run.provider_id for run in ack.runs if run.mode == "async" and run.run_id not in answered]
    if missing:
        print(f"no answer yet from {', '.join(missing)}", file=sys.stderr)
    print(f"\nsession {ack.session_id}")
    print(copyable(f"next: uniassist timeline {ack.session_id} --follow"))
    if app_token is not None:
        print("it needs the same --app-token, or STAGING_APP_TOKEN in the shell")


def _client(where: Gateway, user_id: str | None = None) -> Client:
    """One try for each call: a person at a terminal is told at once, and tries again."""
    return Client(
        where.url, user_id=user_id or where.user_id or "user-1", token=where.app_token, patience_seconds=0
    )


async def _send_and_watch(
    client: Client,
    text: str,
    session_id: str,
    wait_seconds: float,
    *,
    locale: str | None,
    timezone: str | None,
    quiet: bool,
) -> tuple[IngestAck, list[TimelineEvent]]:
    events: list[TimelineEvent] = []
    async with client:
        ack = await client.send(text, session_id=session_id, locale=locale, timezone=timezone)
        owed = {run.run_id for run in ack.runs}
        try:
            async with (
                asyncio.timeout(wait_seconds),
                aclosing(client.follow(ack.session_id, cursor=ack.stream.cursor, resume=False)) as stream,
            ):
                async for event in stream:
                    events.append(event)
                    if not quiet:
                        print(line_of(event), flush=True)
                    if _closes(event):
                        owed.discard(event.run_id or "")
                    if not owed:
                        break
        except TimeoutError:
            pass
    return ack, events


def _closes(event: TimelineEvent) -> bool:
    """Whether nothing more is to be expected of the event's run."""
    if event.kind == "provider_run" and isinstance(event.payload, dict):
        is_over = event.payload.get("status") in ("completed", "failed", "cancelled")
        # The builtin chat's run is over before it has spoken.
        return is_over and event.payload.get("routing_mode") == "normal"
    return event.kind == "interaction" and event.provider_id == "builtin_chat"


def _timeline(
    session_id: Annotated[str, typer.Argument(help="The session.")],
    follow_on: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay and show what comes; Ctrl-C ends.")
    ] = False,
    cursor: Annotated[int, typer.Option("--cursor", min=0, help="Only events with a seq above it.")] = 0,
    url: Url = None,
    app_token: AppToken = None,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    as_json: Json = False,
) -> None:
    where = gateway(url, state_dir, env_file, app_token)
    try:
        shown = _run(_show(where, session_id, cursor, follow_on=follow_on, as_json=as_json))
    except KeyboardInterrupt:
        return
    if not shown and not as_json:
        print(f"session {session_id} has no events{f' after {cursor}' if cursor else ''}")


async def _show(where: Gateway, session_id: str, cursor: int, *, follow_on: bool, as_json: bool) -> int:
    shown = 0
    async with _client(where) as client:
        events = (client.follow if follow_on else client.timeline)(session_id, cursor=cursor)
        async with aclosing(events):
            async for event in events:
                _print(event, as_json=as_json)
                shown += 1
    return shown


def _print(event: TimelineEvent, *, as_json: bool) -> None:
    print(codec.encode(event).decode() if as_json else line_of(event), flush=True)


def _run(asked: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(asked)
    except Refused as error:
        remedy = "\nshow an app token: --app-token TOKEN, or STAGING_APP_TOKEN" if error.status == 401 else ""
        raise StartError(f"the gateway refused it: {error}{remedy}") from None
    except Away as error:
        raise StartError(
            f"{error}\nis the system running? `uniassist status` tells, `uniassist up` starts it"
        ) from None
