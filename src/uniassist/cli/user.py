"""`uniassist user export | erase`: all that is kept of one person, and its end."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from uniassist import terminal
from uniassist.cli.system import SystemEnvFile
from uniassist.cli.where import StateDir, database_env, database_url
from uniassist.contracts import codec
from uniassist.errors import StartError
from uniassist.settings import Reader
from uniassist.store import people
from uniassist.store.people import Erased
from uniassist.store.server import pool
from uniassist.streams.copies import forget_streams
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Layout

UserId = Annotated[str, typer.Argument(help="The userId; of WeChat wx:<openid>.", metavar="USER")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="What is kept of one person.", no_args_is_help=True)
    group.command("export", help="All of it, a JSON record a line.")(_export)
    group.command("erase", help="Erase what they said and were told. Timelines keep their numbers. No way back.")(
        _erase
    )
    app.add_typer(group, name="user")


def _export(
    user_id: UserId,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new file, for its owner only. Default: standard output.")
    ] = None,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
) -> None:
    url = database_url(state_dir, env_file)
    if out is None:
        # Not masked, since it is another's data; escaped all the same, which JSON reads back.
        count = asyncio.run(_write(url, user_id, terminal.raw(sys.stdout)))
    else:
        with _new_file(out) as file:
            count = asyncio.run(_write(url, user_id, file))
    print(f"{count} records of {user_id}", file=sys.stderr)


def _new_file(path: Path) -> TextIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise StartError(f"--out: can't make {path}: {error.strerror}") from None


async def _write(url: str, user_id: str, out: TextIO) -> int:
    """How many records there are."""
    count = 0
    async with await pool.connect(url) as connection:
        async for record in people.export(connection, user_id):
            out.write(terminal.escape(codec.encode(record).decode()) + "\n")
            count += 1
    return count


def _erase(
    user_id: UserId,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
) -> None:
    url, env = database_url(state_dir, env_file), database_env(state_dir, env_file)
    if not yes:
        typer.confirm(f"Erase all that {user_id} said and was told? There is no way back", abort=True)
    erased = asyncio.run(_erase_at(url, user_id))
    reader = Reader(env)
    if erased.session_ids and reader.optional("REDIS_URL"):
        asyncio.run(_forget_copies(reader.redis_url().reveal(), Layout.read(reader), erased.session_ids))
    print(f"{user_id}: {len(erased.session_ids)} sessions emptied, {len(erased.media)} media files to be removed")
    print(
        "entries on the global stream go as the worker trims it; a gateway tells the providers; backups keep theirs"
    )


async def _erase_at(url: str, user_id: str) -> Erased:
    async with await pool.connect(url) as connection:
        return await people.erase(connection, user_id)


async def _forget_copies(url: str, layout: Layout, session_ids: list[str]) -> None:
    async with LaneClients(url, layout, is_command=True) as clients:
        await forget_streams(clients, session_ids)
