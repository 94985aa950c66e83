"""`uniassist outbox stats | list | show | watch | replay | pause | resume`."""

from __future__ import annotations

import asyncio
import datetime as dt
import getpass
import json
import socket
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from uniassist.cli.outbox import remote, watch
from uniassist.cli.outbox.lines import age, lines_of_event, lines_of_stats, stats_document, table
from uniassist.cli.outbox.stream import lines_of_stream, stream_document
from uniassist.cli.silence import waiting
from uniassist.cli.system import SystemEnvFile
from uniassist.cli.where import StateDir, database_env, database_url
from uniassist.delivery.states import State
from uniassist.errors import StartError
from uniassist.store import delivery, outbox
from uniassist.store.server import identity, pool
from uniassist.store.server.pool import Connection

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
EventId = Annotated[str | None, typer.Option("--event-id", help="Only this event.")]
SessionId = Annotated[str | None, typer.Option("--session-id", help="Only events of this session.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many, oldest first.")]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The delivery outbox.", no_args_is_help=True)
    group.command("stats", help="How many events are in each state, since when, how fast, and who delivers.")(
        _stats
    )
    group.command("list", help="Events, oldest first.")(_list)
    group.command("show", help="One event with all that is known of it, and its replays.")(_show)
    group.command("watch", help="States, ages and rates as they change, until Ctrl-C.")(_watch)
    group.command("replay", help="Move dead letters back to failed, due now; safe to repeat with one token.")(
        _replay
    )
    group.command("pause", help="Stop delivery on all workers; what is on the streams is still confirmed.")(_pause)
    group.command("resume", help="Go on with delivery.")(_resume)
    app.add_typer(group, name="outbox")


def _stats(state_dir: StateDir = None, env_file: SystemEnvFile = None, as_json: Json = False) -> None:
    async def ask(connection: Connection) -> dict[str, Any]:
        workers = await outbox.workers(connection)
        found = stats_document(await outbox.stats(connection), workers, await delivery.control(connection))
        return found | {
            "database": await identity.of_database(connection),
            "stream": await stream_document(
                database_env(state_dir, env_file), [worker["worker"] for worker in workers]
            ),
        }

    _print(
        _query(ask, state_dir, env_file),
        as_json,
        lambda found: lines_of_stats(found) + lines_of_stream(found["stream"], found["database"]),
    )


def _duration(text: str) -> dt.timedelta:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _UNITS:
        raise typer.BadParameter(f"expected a number and s, m, h or d, such as 10m; got {text!r}")
    return dt.timedelta(**{_UNITS[unit]: int(number)})


def _list(
    status: Annotated[State | None, typer.Option("--status")] = None,
    session_id: SessionId = None,
    older_than: Annotated[
        dt.timedelta | None, typer.Option("--older-than", parser=_duration, metavar="AGE", help="90s, 10m, 2h, 7d.")
    ] = None,
    limit: Limit = 20,
    url: remote.Url = None,
    console_token: remote.Token = None,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    as_json: Json = False,
) -> None:
    if url is not None:
        rows = remote.list_events(
            url, console_token, status=status, session_id=session_id, older_than=older_than, limit=limit
        )
    else:
        found = _query(
            lambda c: outbox.list_events(
                c, status=status, session_id=session_id, older_than=older_than, limit=limit
            ),
            state_dir,
            env_file,
        )
        rows = [dict(row) for row in found]
    if as_json:
        print(json.dumps(rows, default=str))
        return
    cells = [
        (
            row["event_id"],
            row["session_id"],
            row["status"],
            f"{row['attempts']}/{row['max_attempts']}",
            age(row["age_seconds"]),
            row["last_error"] or "",
        )
        for row in rows
    ]
    for line in table(("event", "session", "status", "attempts", "age", "last error"), cells):
        print(line)


def _show(
    event_id: Annotated[str, typer.Argument()],
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    as_json: Json = False,
) -> None:
    row, replays = _query(lambda c: outbox.show(c, event_id), state_dir, env_file)
    if row is None:
        raise StartError(f"no outbox event has the id {event_id!r}")
    _print({**dict(row), "replays": [dict(replay) for replay in replays]}, as_json, lines_of_event)


def _watch(
    interval: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
    for_seconds: Annotated[float | None, typer.Option("--for", min=0, help="End after so many seconds.")] = None,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    as_json: Json = False,
) -> None:
    url = database_url(state_dir, env_file)
    watching = watch.watch(url, interval_seconds=interval, for_seconds=for_seconds, as_json=as_json)
    try:
        asyncio.run(watching)
    except KeyboardInterrupt:
        return


def _replay(
    event_id: EventId = None,
    session_id: SessionId = None,
    every: Annotated[bool, typer.Option("--all", help="Of all sessions, up to --limit.")] = False,
    limit: Limit = 20,
    token: Annotated[str | None, typer.Option("--replay-token", help="Repeat with the same to be safe.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Why, kept with each replayed event.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be moved.")] = False,
    keep_attempts: Annotated[
        bool, typer.Option("--no-reset-attempts", help="Let them keep the attempts they had.")
    ] = False,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    as_json: Json = False,
) -> None:
    if not (event_id or session_id or every):
        raise typer.BadParameter("give one of --event-id, --session-id, --all")
    token = token or f"replay-{uuid.uuid4()}"
    chosen = outbox.Selection(event_id, session_id, limit)
    done = _query(
        lambda c: outbox.replay(
            c, chosen, token=token, note=note, reset_attempts=not keep_attempts, dry_run=dry_run
        ),
        state_dir,
        env_file,
    )
    if as_json:
        print(json.dumps({"replayToken": token, **asdict(done)}))
        return
    print(f"replay token: {token}")
    if not dry_run:
        # Scripts look for this line. `updated=0` is success as well: what was asked for is so already.
        print(f"[replay][PASS] selected={done.selected} updated={done.updated}")
    print(f"selected: {done.selected}  inserted: {done.inserted}  updated: {done.updated}")
    if dry_run:
        print("dry run: nothing was moved")
    elif done.updated == limit:
        print(f"there may be more: this was the limit of {limit}; repeat it, or give a higher --limit")


def _pause(
    reason: Annotated[str | None, typer.Option("--reason", help="Shown to whoever asks why.")] = None,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    as_json: Json = False,
) -> None:
    who = f"{getpass.getuser()}@{socket.gethostname()}"

    async def pause(connection: Connection) -> dict[str, Any]:
        await delivery.pause(connection, who=who, reason=reason)
        return await delivery.control(connection)

    control = _query(pause, state_dir, env_file)
    _print(
        dict(control) if control else {}, as_json, lambda c: [f"paused since {c['paused_at']} by {c['paused_by']}"]
    )


def _resume(state_dir: StateDir = None, env_file: SystemEnvFile = None, as_json: Json = False) -> None:
    async def resume(connection: Connection) -> dict[str, Any]:
        before = await delivery.control(connection)
        await delivery.resume(connection)
        return before

    was_paused = _query(resume, state_dir, env_file)["paused_at"] is not None
    _print({"wasPaused": was_paused}, as_json, lambda _: ["resumed" if was_paused else "was not paused"])


def _print(found: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], list[str]]) -> None:
    if as_json:
        print(json.dumps(found, default=str, ensure_ascii=False))
        return
    for line in lines(found):
        print(line)


def _query(ask: Callable[[Connection], Awaitable[T]], state_dir: Path | None, env_file: Path | None) -> T:
    async def run() -> T:
        async with await pool.connect(url) as connection:
            return await ask(connection)

    url = database_url(state_dir, env_file)
    with waiting("asking Postgres…"):
        return asyncio.run(run())
