"""A database of its own for a check, on a server that others use too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import asyncpg

from uniassist.errors import StartError


@asynccontextmanager
async def own_database(url: str, name: str) -> AsyncIterator[str]:
    """The URL of a new, empty database beside the one of `url`, or of a schema in it; dropped at the end.

    StartError when the server can't be reached, or its user may create neither.
    """
    try:
        await _execute(url, f'CREATE DATABASE "{name}"')
        own, drop = urlsplit(url)._replace(path=f"/{name}").geturl(), f'DROP DATABASE "{name}" WITH (FORCE)'
    except asyncpg.InsufficientPrivilegeError:
        try:
            await _execute(url, f'CREATE SCHEMA "{name}"')
        except asyncpg.InsufficientPrivilegeError:
            raise StartError(
                "DATABASE_URL: this check needs a database or a schema of its own, and its user may create "
                "neither; grant it CREATEDB, or leave DATABASE_URL out to use an embedded Postgres"
            ) from None
        own, drop = _in_schema(url, name), f'DROP SCHEMA "{name}" CASCADE'
    try:
        yield own
    finally:
        await _execute(url, drop)


def _in_schema(url: str, name: str) -> str:
    parts = urlsplit(url)
    option = f"options={quote(f'-csearch_path={name}', safe='')}"
    return parts._replace(query=f"{parts.query}&{option}" if parts.query else option).geturl()


async def _execute(url: str, statement: str) -> None:
    try:
        connection = await asyncpg.connect(url, timeout=5.0, command_timeout=30.0)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise StartError(f"DATABASE_URL: can't connect: {error or type(error).__name__}") from None
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
