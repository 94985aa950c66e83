"""`uniassist outbox stats | list | replay`."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import asyncpg
import typer

from uniassist.cli.where import database_url
from uniassist.errors import StartError
from uniassist.store import outbox
from uniassist.store.pool import Connection

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
EventId = Annotated[str | None, typer.Option("--event-id")]
SessionId = Annotated[str | None, typer.Option("--session-id")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The delivery outbox.", no_args_is_help=True)
    group.command("stats", help="How many events are in each state, and since when.")(_stats)
    group.command("list", help="Events, oldest first.")(_list)
    group.command("replay", help="Move dead letters back to failed, due now; safe to repeat with one token.")(
        _replay
    )
    app.add_typer(group, name="outbox")


def _stats(as_json: Json = False) -> None:
    rows = [dict(row) for row in _query(outbox.stats)]
    if as_json:
        print(json.dumps(rows, default=str))
        return
    for row in rows:
        print(f"{row['status']:<12} {row['events']:>10}  oldest {row['oldest']}")


def _list(
    status: Annotated[str | None, typer.Option("--status")] = None,
    session_id: SessionId = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    rows = _query(lambda c: outbox.list_events(c, status=status, session_id=session_id, limit=limit))
    if as_json:
        print(json.dumps([dict(row) for row in rows], default=str))
        return
    for row in rows:
        print(
            f"{row['event_id']}  {row['session_id']}  {row['status']}  {row['attempts']}  {row['last_error'] or ''}"
        )


def _replay(
    event_id: EventId = None,
    session_id: SessionId = None,
    every: Annotated[bool, typer.Option("--all")] = False,
    limit: Limit = 20,
    token: Annotated[str | None, typer.Option("--replay-token", help="Repeat with the same to be safe.")] = None,
    note: Annotated[str | None, typer.Option("--note")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    keep_attempts: Annotated[bool, typer.Option("--no-reset-attempts")] = False,
    as_json: Json = False,
) -> None:
    if not (event_id or session_id or every):
        raise typer.BadParameter("give one of --event-id, --session-id, --all")
    token = token or f"replay-{uuid.uuid4()}"
    chosen = outbox.Selection(event_id, session_id, limit)
    done = _query(
        lambda c: outbox.replay(
            c, chosen, token=token, note=note, reset_attempts=not keep_attempts, dry_run=dry_run
        )
    )
    if as_json:
        print(json.dumps({"replayToken": token, **asdict(done)}))
        return
    print(f"replay token: {token}")
    print(f"selected: {done.selected}  inserted: {done.inserted}  updated: {done.updated}")


def _query(ask: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await asyncpg.connect(url, timeout=5.0, command_timeout=30.0)
        try:
            return await ask(connection)
        finally:
            await connection.close(timeout=5.0)

    url = database_url()
    try:
        return asyncio.run(run())
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise StartError(f"DATABASE_URL: can't connect: {error}") from None
