"""One release at a time on a database, whichever directory or host it is begun from: an advisory lock of Postgres.

It frees itself with its connection, however its process ends. Blocking, since it is held across event loops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from uniassist.store.queries import statements

CONNECT_SECONDS = 3
_NAME_BYTES = 63


class LockUnreachable(Exception):
    """The database couldn't be asked; the message is its driver's first line."""


@dataclass(frozen=True)
class DatabaseHolder:
    """Who holds it, in their own words, and since when. `said` may be cut: Postgres keeps 63 bytes."""

    said: str
    since: str


@contextmanager
def held(url: str, holder: str) -> Iterator[DatabaseHolder | None]:
    """None while it is ours; else who has it. LockUnreachable when the database can't be asked."""
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS, cursor_factory=psycopg.RawCursor
        )
    except (psycopg.Error, OSError) as error:
        raise LockUnreachable((str(error).splitlines() or ["no answer"])[0]) from None
    try:
        found = _take(connection, holder)
        yield found
    finally:
        connection.close()


def _take(connection: psycopg.Connection[Any], holder: str) -> DatabaseHolder | None:
    named = holder.encode()[:_NAME_BYTES].decode("utf-8", "ignore")
    try:
        row = _row(connection, "lock_releases", holder=named)
        if row is not None and row[0]:
            return None
        other = _row(connection, "holder_of_releases")
    except psycopg.Error as error:
        raise LockUnreachable((str(error).splitlines() or ["no answer"])[0]) from None
    return DatabaseHolder(*other) if other else DatabaseHolder("somebody who has just ended", "a moment ago")


def _row(connection: psycopg.Connection[Any], name: str, **values: object) -> tuple[Any, ...] | None:
    sql, *arguments = statements("release")[name](**values)
    found: tuple[Any, ...] | None = connection.execute(sql, arguments).fetchone()
    return found
