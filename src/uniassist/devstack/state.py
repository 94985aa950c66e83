"""The state directory of `up`: who runs here, the secrets and ports that stay, and the logs."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from uniassist.devstack.server import Account
from uniassist.errors import StartError

DEFAULT_DIRECTORY = Path(".uniassist")
LOOKING_SECONDS = 1.0


class ServiceState(msgspec.Struct, rename="camel", frozen=True):
    """`pid` None while it is down; `restarts` since `up` started."""

    name: str
    url: str
    pid: int | None
    restarts: int = 0


class RunState(msgspec.Struct, rename="camel", frozen=True):
    """What `status` and scripts read. `ready` once all services have answered."""

    pid: int
    since: float
    ready: bool
    database_url: str
    redis_url: str
    services: list[ServiceState]


class _Kept(msgspec.Struct, rename="camel"):
    """What a next start uses again, so that a database and its clients still fit together."""

    postgres_port: int | None = None
    redis_port: int | None = None
    secrets: dict[str, str] = {}


class StateDirectory:
    """One `up` at a time: the lock is held by its process and frees itself when that dies."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self._state = self.path / "state.json"
        self._kept = self.path / "kept.json"
        self._lock = self.path / "lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """StartError that says who is here when somebody is."""
        self.make()
        with self._lock.open("a+") as lock:
            if not _take(lock):
                raise StartError(self.who())
            self._state.unlink(missing_ok=True)  # of one that was killed
            yield
            self._state.unlink(missing_ok=True)

    def make(self) -> None:
        """Closed to other users of the machine, whatever the umask and whoever made it before.

        The account that the embedded Postgres has when we are root may pass through, and sees no names.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = Account.unprivileged()
        if account is not None:
            os.chown(self.path, 0, account.gid)
        self.path.chmod(0o710 if account is not None else 0o700)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.logs, self.path / "redis"):
            if folder.is_dir():  # Redis's isn't where it is given, or not yet
                folder.chmod(0o700)
        self._lock.touch(mode=0o600)
        for file in (*self.logs.iterdir(), self._lock):
            if file.is_file() and not file.is_symlink():
                file.chmod(0o600)  # of an older release

    def is_locked(self) -> bool:
        """Whether an `up` runs here, by its lock: a state file that outlived a SIGKILL doesn't count."""
        try:
            with self._lock.open("a+") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def who(self) -> str:
        state = self.read()
        if state is None:
            return f"another `uniassist up` is just starting on {self.path}"
        age = time.strftime("%H:%M:%S", time.localtime(state.since))
        return (
            f"it runs already on {self.path}: process {state.pid}, since {age}; "
            "`uniassist status` shows it, `uniassist down` stops it, --state-dir starts another"
        )

    def read(self) -> RunState | None:
        """The running system; None when none runs."""
        if not self.is_locked():
            return None
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=RunState)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, state: RunState) -> None:
        write_private(self._state, msgspec.json.format(msgspec.json.encode(state)))

    def port(self, server: str, choose: int) -> int:
        """The port that the embedded server had before; `choose` the first time."""
        kept = self._read_kept()
        name = f"{server}_port"
        if getattr(kept, name) is None:
            setattr(kept, name, choose)
            self._write_kept(kept)
        port: int = getattr(kept, name)
        return port

    def forget_port(self, server: str) -> None:
        kept = self._read_kept()
        setattr(kept, f"{server}_port", None)
        self._write_kept(kept)

    def secret(self, name: str) -> str:
        """A secret of this system, made once, readable by its owner only."""
        kept = self._read_kept()
        if name not in kept.secrets:
            kept.secrets[name] = secrets.token_hex(16)
            self._write_kept(kept)
        return kept.secrets[name]

    def _read_kept(self) -> _Kept:
        try:
            return msgspec.json.decode(self._kept.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept(secrets={})
        except msgspec.DecodeError as error:
            raise StartError(f"{self._kept} is damaged ({error}); remove it to start with new secrets") from None

    def _write_kept(self, kept: _Kept) -> None:
        write_private(self._kept, msgspec.json.format(msgspec.json.encode(kept)))


def _take(lock: IO[str]) -> bool:
    """Whoever only looks holds it for an instant; whoever runs, for long."""
    end = time.monotonic() + LOOKING_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.005)  # flock waits for ever or not at all
        else:
            return True


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, on the disk before anything relies on it, mode 0600: it may hold a password."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
