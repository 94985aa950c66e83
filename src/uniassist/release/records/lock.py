"""One hand at a time on an environment: a lock that frees itself when its holder dies, with its name in it.

It is a file beside the journal and not in Postgres or Redis, whose outage must not stand in the way of a rollback.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now
from uniassist.release.durable_files import make_directory
from uniassist.release.exit_codes import ExitCode, Refused

# Whoever only looks holds it for an instant.
LOOKING_SECONDS = 1.0


class Holder(msgspec.Struct, frozen=True, rename="camel"):
    owner: str
    host: str
    pid: int
    since: str
    why: str

    def said(self) -> str:
        return f"{self.owner} on {self.host} (process {self.pid}) since {self.since}: {self.why}"


def who() -> str:
    """The person, as far as the system knows."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return f"uid {os.getuid()}"


@contextmanager
def locked(path: Path, why: str) -> Iterator[None]:
    """Refused with 30, saying who, since when and why, when somebody else is at it.

    StartError where its file can't be made.
    """
    with _opened(path) as file:
        if not _taken(file):
            holder = _written(file)
            said = holder.said() if holder else "somebody who is just beginning"
            raise Refused(
                ExitCode.LOCKED,
                f"locked by {said}\n      next: uniassist release status\n"
                "      safe: wait; the lock frees itself when that process ends, however it ends",
            )
        holder = Holder(who(), socket.gethostname(), os.getpid(), now(), why)
        _write(file, holder)
        yield


def holder_of(path: Path) -> Holder | None:
    """Who holds it now; None when nobody does, whatever a dead one left written."""
    if not path.exists():
        return None
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _written(file) or Holder("somebody", "?", 0, now(), "just beginning")
    return None


def _opened(path: Path) -> IO[str]:
    make_directory(path.parent)
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
    except OSError as error:
        raise StartError(f"{path} can't be opened: {error.strerror}") from None


def _taken(file: IO[str]) -> bool:
    end = time.monotonic() + LOOKING_SECONDS
    while True:  # ends: taken, or after LOOKING_SECONDS
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        else:
            return True


def _write(file: IO[str], holder: Holder) -> None:
    """In place: a full disk has room for what is there. Without it others only can't say who holds the lock."""
    said = msgspec.json.encode(holder).decode() + "\n"
    with contextlib.suppress(OSError):
        os.pwrite(file.fileno(), said.encode(), 0)
        os.ftruncate(file.fileno(), len(said.encode()))


def _written(file: IO[str]) -> Holder | None:
    try:
        return msgspec.json.decode(file.read(), type=Holder)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
