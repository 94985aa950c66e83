"""The outbox of a system elsewhere, by its console's HTTP API."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import typer

from uniassist.errors import SettingsError, StartError
from uniassist.web.calling.client import Answer, CallFailed, JsonClient

ANSWER_SECONDS = 20.0
MOST = 500  # of one page of its list

Url = Annotated[
    str | None,
    typer.Option("--url", help="Of a gateway elsewhere: its console is asked, newest events first.", metavar="URL"),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--console-token", envvar="UNIASSIST_CONSOLE_TOKEN", help="One of UNIASSIST_CONSOLE_TOKENS there."
    ),
]


def list_events(
    url: str,
    token: str | None,
    *,
    status: str | None,
    session_id: str | None,
    older_than: dt.timedelta | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Newest first, with the columns of the same list from Postgres. StartError says what the gateway said."""
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"--url: expected a URL such as http://127.0.0.1:8787, got {url!r}")
    if limit > MOST:
        raise SettingsError(f"--limit: expected at most {MOST} with --url, got {limit}")
    fields = {
        "status": status,
        "sessionId": session_id,
        "olderThanSeconds": int(older_than.total_seconds()) if older_than else None,
        "limit": limit,
    }
    query = urlencode({name: value for name, value in fields.items() if value is not None})
    answer = asyncio.run(_ask(f"{url.rstrip('/')}/console/v0/outbox?{query}", token))
    found = msgspec.json.decode(answer.body)
    if answer.status != 200:
        raise StartError(f"--url: {answer.status}: {found.get('detail', 'no console is served there')}")
    return [_row(event) for event in found["events"]]


async def _ask(url: str, token: str | None) -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with JsonClient() as client:
        try:
            return await client.request("GET", url, timeout_seconds=ANSWER_SECONDS, headers=headers)
        except CallFailed as error:
            raise StartError(f"--url: {error}") from None


def _row(event: dict[str, Any]) -> dict[str, Any]:
    created = event.get("createdAt")
    return {
        "event_id": event["eventId"],
        "session_id": event["sessionId"],
        "status": event["status"],
        "attempts": event["attempts"],
        "max_attempts": event["maxAttempts"],
        "last_error": event.get("lastError"),
        "next_retry_at": _at(event.get("nextRetryAt")),
        "created_at": _at(created),
        "age_seconds": max(0.0, time.time() - created / 1000) if created is not None else 0.0,
    }


def _at(milliseconds: int | None) -> dt.datetime | None:
    return None if milliseconds is None else dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
