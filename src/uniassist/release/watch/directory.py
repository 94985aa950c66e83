"""Where a watch says that it watches: a lock that frees itself, its state, its log. Whoever asks reads it here."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import stamp
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records import trigger
from uniassist.release.records.trigger import Fired
from uniassist.release.report.place import place
from uniassist.release.watch.triggers.how_far import TriggerSeen

LOOKING_SECONDS = 1.0


class ServiceSeen(msgspec.Struct, rename="camel", omit_defaults=True):
    """One service as the watch sees it.

    state: ok, failing or no data.
    counted_seconds: of the 180 that it takes, while it fails.
    """

    state: str
    detail: str = ""
    revision: str | None = None
    counted_seconds: float = 0.0
    at: str | None = None


class WatchState(msgspec.Struct, rename="camel", omit_defaults=True):
    """`ended`: how, in a word: quiet, rolled back, …; None while it runs, or when its process was killed."""

    pid: int
    since: str
    until: str
    heartbeat: str
    revision: str
    on_trigger: str
    log: str
    services: dict[str, ServiceSeen] = {}
    triggers: list[TriggerSeen] = []
    held: list[str] = []
    rounds_ok: int = 0
    last_round: str = ""
    alerts: list[str] = []
    fired: Fired | None = None
    ended: str | None = None
    ended_at: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Watched:
    """`state` None: nobody ever watched here."""

    is_watched: bool
    state: WatchState | None

    def sentence(self) -> str:
        """For one line of `release status`."""
        state = self.state
        if state is None:
            return "starting" if self.is_watched else "nobody watches, and nobody has so far"
        if self.is_watched:
            failing = [name for name, seen in state.services.items() if seen.state != "ok"]
            how = f"; NOT well: {', '.join(failing)}" if failing else ""
            return f"process {state.pid} watches {state.revision} since {state.since} until {state.until}{how}"
        if state.ended is None:
            return f"NOBODY WATCHES since {state.heartbeat}: the watch of {state.revision} was killed"
        return f"nobody watches since {state.ended_at}: the watch of {state.revision} ended, {state.ended}"


class WatchDirectory:
    """`<home>/environments/<environment>/watch`: one watch at a time for each environment."""

    def __init__(self, home: Path, environment: str) -> None:
        self.path = trigger.watch_folder(home, environment)
        self._lock = self.path / "lock"
        self._state = self.path / "state.json"
        self._trigger = trigger.path_of(home, environment)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Refused with 30, saying who watches already, when somebody does."""
        self.make()
        with self._lock.open("a+") as lock:
            end = time.monotonic() + LOOKING_SECONDS  # whoever only looks holds it for an instant
            while not _taken(lock.fileno(), fcntl.LOCK_EX):
                if time.monotonic() > end:
                    raise Refused(ExitCode.LOCKED, self.said())
                time.sleep(0.01)
            self._trigger.unlink(missing_ok=True)  # of the watch before: its run keeps it
            yield

    def look(self) -> Watched:
        return Watched(self._is_locked(), self._read())

    def said(self) -> str:
        state = self._read()
        if state is None:
            return "another watch is just starting here"
        more = f"its log: {place(Path(state.log))}\n      to end it: kill {state.pid}"
        return f"it is watched already: {self.look().sentence()}\n      {more}"

    def make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"{self.path} can't be made: {error.strerror}") from None

    def new_log(self) -> Path:
        self.make()
        return self.path / f"{stamp()}-{os.getpid()}.log"

    def write(self, state: WatchState) -> None:
        trigger.write_quickly(self._state, state)

    def write_trigger(self, fired: Fired) -> Path:
        trigger.write_quickly(self._trigger, fired)
        return self._trigger

    def trigger(self) -> Fired | None:
        """What fired in the watch that runs, or in the last one."""
        return trigger.read(self._trigger)

    def _is_locked(self) -> bool:
        try:
            with self._lock.open("r") as lock:
                return not _taken(lock.fileno(), fcntl.LOCK_SH)
        except OSError:
            return False

    def _read(self) -> WatchState | None:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=WatchState)
        except (OSError, msgspec.DecodeError):
            return None


def who_watches(home: Path, environment: str) -> Watched:
    """For `release status`: who watches, or since when nobody does. Touches nothing."""
    return WatchDirectory(home, environment).look()


def _taken(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
