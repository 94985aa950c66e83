"""One hand at a time on an environment: a file beside the records, and a lock where the services' database is.

The file excludes whoever works from the same directory, the database everybody else. Neither may stand in the way
of a rollback: a database that is away is said, and no more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from uniassist.errors import StartError
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import env_of
from uniassist.release.records.lock import locked, who
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.store import release_lock
from uniassist.store.release_lock import LockUnreachable


@contextmanager
def alone(home: Home, values: Mapping[str, str], reporter: ReleaseReporter, why: str) -> Iterator[None]:
    """Refused with 30, saying who, since when and why, while somebody else is at it.

    values: the env set that is worked with; the database of what runs is locked as well where it is another.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(home.lock, why))
        except StartError as error:
            if home.forgiving is None:
                raise
            home.forgiving.lose(error)
        for url in _databases(home, values):
            _lock_database(stack, url, f"{who()}@{socket.gethostname()}/{os.getpid()}: {why}", reporter)
        yield


def _lock_database(stack: ExitStack, url: str, holder: str, reporter: ReleaseReporter) -> None:
    try:
        other = stack.enter_context(release_lock.held(url, holder))
    except LockUnreachable as error:
        reporter.say(f"NOT locked at the database, so that nobody elsewhere is kept out: {error}")
        return
    if other is not None:
        raise Refused(
            ExitCode.LOCKED,
            f"locked from another directory or host, at the database: {other.said}, since {other.since}\n"
            "      next: uniassist release status\n"
            "      safe: wait; the lock frees itself when that process ends, however it ends",
        )


def _databases(home: Home, values: Mapping[str, str]) -> list[str]:
    """Of what runs first, so that a release that moves to another database is kept from both."""
    current = home.kept.find(home.deployed().current or "nothing")
    found = [env_of(current).get("DATABASE_URL") if current is not None else None, values.get("DATABASE_URL")]
    return list(dict.fromkeys(url for url in found if url))
