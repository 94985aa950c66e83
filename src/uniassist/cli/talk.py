"""`uniassist send` and `uniassist timeline`: for a person at a terminal."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import typer

from uniassist.cli.event_lines import line_of
from uniassist.cli.where import StateDir, gateway_url
from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck, UnifiedUserInput
from uniassist.contracts.timeline import TimelineEvent, TimelinePage
from uniassist.errors import StartError
from uniassist.web.client import BadStatus, CallFailed, JsonClient
from uniassist.web.sse import follow

Url = Annotated[str | None, typer.Option("--url", help="The gateway. Default: GATEWAY_URL, else the one of `up`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts, one document or one event a line.")]
CALL_SECONDS = 10.0
T = TypeVar("T")


def register(app: typer.Typer) -> None:
    app.command("send", help="Write a message, show what comes back. As a user of the app would.")(_send)
    app.command("timeline", help="Show a session's timeline. --follow stays and shows what comes.")(_timeline)


def _send(
    text: Annotated[str, typer.Argument(help="The message.")],
    session_id: Annotated[str | None, typer.Option("--session", help="Default: a new session.")] = None,
    user_id: Annotated[str, typer.Option("--user", help="Who writes.")] = "user-1",
    locale: Annotated[str | None, typer.Option("--locale", help="en for English; default Chinese.")] = None,
    wait_seconds: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for providers.")] = 10.0,
    url: Url = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    message = UnifiedUserInput(
        schema_version="v0",
        trace_id=uuid.uuid4().hex,
        user_id=user_id,
        session_id=session_id or f"session-{uuid.uuid4().hex[:8]}",
        source="app",
        timestamp_ms=int(time.time() * 1000),
        text=text,
        locale=locale,
    )
    where = gateway_url(url, state_dir)
    ack, events = _run(_send_and_watch(where, message, wait_seconds, quiet=as_json))
    if as_json:
        print(codec.encode({"ack": ack, "events": events}).decode())
        return
    answered = {event.run_id for event in events if _closes(event)}
    missing = [run.provider_id for run in ack.runs if run.mode == "async" and run.run_id not in answered]
    if missing:
        print(f"no answer yet from {', '.join(missing)}", file=sys.stderr)
    print(f"\nsession {ack.session_id}; follow it with: uniassist timeline {ack.session_id} --follow")


async def _send_and_watch(
    where: str, message: UnifiedUserInput, wait_seconds: float, *, quiet: bool
) -> tuple[IngestAck, list[TimelineEvent]]:
    async with JsonClient() as client:
        ack = await client.post_json(f"{where}/v0/ingest", message, IngestAck, timeout_seconds=CALL_SECONDS)
    events: list[TimelineEvent] = []
    owed = {run.run_id for run in ack.runs}
    try:
        async with asyncio.timeout(wait_seconds):
            async for event in follow(where, ack.session_id, cursor=ack.stream.cursor, reconnect=False):
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
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    where = gateway_url(url, state_dir)
    try:
        shown = _run(_show(where, session_id, cursor, follow_on=follow_on, as_json=as_json))
    except KeyboardInterrupt:
        return
    if not shown and not as_json:
        print(f"session {session_id} has no events{f' after {cursor}' if cursor else ''}")


async def _show(where: str, session_id: str, cursor: int, *, follow_on: bool, as_json: bool) -> int:
    shown = 0
    if follow_on:
        async for event in follow(where, session_id, cursor=cursor):
            _print(event, as_json=as_json)
        return 1
    async with JsonClient() as client:
        while True:  # ends: with a page that isn't full
            page = await client.get_json(
                f"{where}/v0/timeline?sessionId={quote(session_id, safe='')}&cursor={cursor}",
                TimelinePage,
                timeout_seconds=CALL_SECONDS,
            )
            for event in page.events:
                _print(event, as_json=as_json)
            shown += len(page.events)
            if not page.events:
                return shown
            cursor = page.next_cursor


def _print(event: TimelineEvent, *, as_json: bool) -> None:
    print(codec.encode(event).decode() if as_json else line_of(event), flush=True)


def _run(asked: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(asked)
    except BadStatus as error:
        raise StartError(f"the gateway refused it: {_detail(error)}") from None
    except CallFailed as error:
        raise StartError(
            f"{error}\nis the system running? `uniassist status` tells, `uniassist up` starts it"
        ) from None


def _detail(error: BadStatus) -> str:
    try:
        problem = json.loads(error.body)
        return f"{problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return str(error)
