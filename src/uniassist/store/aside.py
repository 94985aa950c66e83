"""A database of its own for a check, on a server that others use too."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from uniassist.errors import NoPermission, StartError
from uniassist.store.server import pool


async def create(url: str, name: str) -> str:
    """The URL of a new, empty database beside the one of `url`, or of a schema in it where none may be created.

    StartError when its user may create neither.
    """
    try:
        await _execute(url, f'CREATE DATABASE "{name}"')
        return urlsplit(url)._replace(path=f"/{name}").geturl()
    except NoPermission:
        pass
    try:
        await _execute(url, f'CREATE SCHEMA "{name}"')
    except NoPermission:
        raise StartError(
            "DATABASE_URL: this check needs a database or a schema of its own, and its user may create neither; "
            "grant it CREATEDB, or leave DATABASE_URL out to use an embedded Postgres"
        ) from None
    return _in_schema(url, name)


async def drop(url: str, name: str) -> None:
    """Whichever of the two there is, if any: also after a `create` that was cut off."""
    await _execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def _in_schema(url: str, name: str) -> str:
    parts = urlsplit(url)
    option = f"options={quote(f'-csearch_path={name}', safe='')}"
    return parts._replace(query=f"{parts.query}&{option}" if parts.query else option).geturl()


async def _execute(url: str, *statements: str) -> None:
    async with await pool.connect(url) as connection:
        for statement in statements:
            await connection.execute(statement)
