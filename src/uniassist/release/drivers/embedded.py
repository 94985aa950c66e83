"""The embedded runner: a keeper (keeper.py) for each service, started here, seen and ended by its locks.

In the folder of a service: `order.json` what is wanted, `state.json` what its keeper last did, the two locks,
`log` and `log.1`. A tool that is killed at any point leaves locks that tell the truth, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec
import psutil

from uniassist.devstack.logs import last_lines
from uniassist.devstack.state import write_private
from uniassist.release.drivers import keeper, ports
from uniassist.release.drivers.driver import DriverFailed
from uniassist.release.drivers.runner import KeptProcess, ServiceOrder
from uniassist.release.drivers.state_files import base_python, read_as
from uniassist.release.durable_files import overwrite

START_SECONDS = 15.0
# What a keeper needs beyond the service's own time to drain.
MARGIN_SECONDS = 5.0
LAST_SECONDS = 5.0
POLL_SECONDS = 0.02


class _State(msgspec.Struct, rename="camel", frozen=True):
    """As keeper.py writes it."""

    order: str
    phase: str
    pid: int | None
    instance: str
    starts: int
    last_end: str


class _Outrun(DriverFailed):
    """Another keeper was first."""


class Keepers:
    """`home`: where the services run; one folder for each under `services/`."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def look(self, service: str) -> KeptProcess:
        folder = self._folder(service)
        order, state = read_as(folder / "order.json", ServiceOrder), read_as(folder / "state.json", _State)
        watched, runs = is_held(folder / "keeper.lock"), is_held(folder / "service.lock")
        if not watched and not runs:
            return KeptProcess(False, order, detail=_ended(state))
        mine = state if state and order and state.order == order.id else None
        frozen = _frozen({"its keeper": _number(folder / "keeper.lock"), service: mine.pid if mine else None})
        if not watched:
            detail = "its keeper is gone: it runs, and would not be started again; deploy it once more"
            instance = mine.instance if mine else None
            return KeptProcess(True, order, _number(folder / "service.lock"), instance, False, detail)
        if mine is None or mine.phase == "pausing" or not runs:
            return KeptProcess(True, order, detail=frozen or _pausing(mine))
        detail = f"started {mine.starts} times; {mine.last_end} before" if mine.starts > 1 else ""
        detail = "; ".join(filter(None, (frozen, detail)))
        return KeptProcess(True, order, mine.pid, mine.instance, detail=detail)

    async def start(self, order: ServiceOrder, env: Mapping[str, str]) -> None:
        try:
            await self._begin(order, env)
        except _Outrun:  # by that of a tool that was killed: it came to its lock after nobody had held it
            await self.stop(order.service)
            await self._begin(order, env)

    async def _begin(self, order: ServiceOrder, env: Mapping[str, str]) -> None:
        folder = self._folder(order.service)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "stopped").unlink(missing_ok=True)
        _write(folder / "order.json", msgspec.json.format(msgspec.json.encode(order)))
        with _errors(folder / "keeper.err") as err:
            process = await asyncio.create_subprocess_exec(
                *(base_python(), "-I", "-S", str(self._keeper()), str(folder), order.id),
                env=dict(env),
                cwd=self._home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        # It waits for its lock, then leaves for the background.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), START_SECONDS)
        code = process.returncode
        while code == 0:
            state = read_as(folder / "state.json", _State)
            if state is not None and state.order == order.id:
                return
            if not is_held(folder / "keeper.lock") or time.monotonic() > end:
                break
            await asyncio.sleep(POLL_SECONDS)
        said = last_lines(folder / "keeper.err", 5) or f"it ended with {code}"
        failed = _Outrun if code and is_held(folder / "keeper.lock") else DriverFailed
        raise failed(f"{order.service}: its keeper didn't start: {said}")

    async def stop(self, service: str) -> None:
        folder = self._folder(service)
        if not folder.exists():
            return
        order = read_as(folder / "order.json", ServiceOrder)
        drain_seconds = order.drain_seconds if order else MARGIN_SECONDS
        await self._stop_keeper(folder, drain_seconds + MARGIN_SECONDS)
        # From here on no keeper can start one again.
        with _held(folder / "keeper.lock", service):
            await self._stop_orphan(folder, drain_seconds)
            if is_held(folder / "service.lock"):
                holders = ", ".join(ports.named(pid) for pid in _holders(folder / "service.lock"))
                raise DriverFailed(f"{service}: something of it still runs: {holders or 'it could not be found'}")
            if order is not None:
                # A keeper of a tool that was killed may still be on its way to the lock.
                with contextlib.suppress(DriverFailed):
                    _write(folder / "stopped", order.id.encode())

    def log(self, service: str) -> str:
        return str(self._folder(service) / "log")

    async def last_lines(self, service: str) -> str:
        return last_lines(self._folder(service) / "log", 8)

    def _folder(self, service: str) -> Path:
        return self._home / "services" / service

    def _keeper(self) -> Path:
        """Our copy of the program; written anew, and whole, when the tool brings another one."""
        source, target = Path(keeper.__file__), self._home / "keeper.py"
        if not target.exists() or target.read_bytes() != source.read_bytes():
            new = self._home / f".keeper.{os.getpid()}"
            try:
                shutil.copyfile(source, new)
                new.replace(target)
            except OSError:  # no room: then with the tool's own, for as long as the tool is there
                new.unlink(missing_ok=True)
                return source
        return target

    async def _stop_keeper(self, folder: Path, deadline_seconds: float) -> None:
        lock = folder / "keeper.lock"
        for number, seconds in ((signal.SIGTERM, deadline_seconds), (signal.SIGKILL, LAST_SECONDS)):
            pid = await _keeper_of(lock, folder)
            if pid is None:
                return
            if number == signal.SIGTERM and ports.is_frozen(pid):
                continue  # it would never hear of it; what it keeps is drained as an orphan
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            await _until_free(lock, seconds)

    async def _stop_orphan(self, folder: Path, drain_seconds: float) -> None:
        """A service whose keeper was killed. Its lock tells of it, and of nobody else."""
        lock = folder / "service.lock"
        if not is_held(lock) or (pid := await _number_soon(lock)) is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        await _until_free(lock, drain_seconds)
        if is_held(lock):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            await _until_free(lock, LAST_SECONDS)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all; on a full disk in the room that the file has. DriverFailed when it can't be had."""
    try:
        write_private(path, content)
    except OSError as error:
        path.with_suffix(".new").unlink(missing_ok=True)
        try:
            overwrite(path, content)
        except OSError:
            raise DriverFailed(f"{path} can't be written: {error.strerror}") from None


def _errors(path: Path) -> IO[bytes]:
    """Where a keeper's errors go."""
    try:
        return path.open("wb")
    except OSError:
        return Path(os.devnull).open("wb")


def is_held(lock: Path) -> bool:
    """By anybody; looking takes it for an instant."""
    try:
        with lock.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextlib.contextmanager
def _held(lock: Path, service: str) -> Iterator[None]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not keeper.take(descriptor, keeper.LOCK_SECONDS):
            raise DriverFailed(f"{service}: another keeper was started just now; {lock} is held")
        yield
    finally:
        os.close(descriptor)


def _number(lock: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(lock.read_bytes())
    return None


async def _number_soon(lock: Path) -> int | None:
    """The holder writes it right after taking the lock."""
    end = time.monotonic() + 1.0
    while True:  # ends: written, free again, or at the deadline
        if (pid := _number(lock)) is not None or not is_held(lock) or time.monotonic() > end:
            return pid
        await asyncio.sleep(POLL_SECONDS)


async def _keeper_of(lock: Path, folder: Path) -> int | None:
    """None when the lock is free. One that is just starting, or just dying, can't be told at once."""
    end = time.monotonic() + 2.0
    while True:  # ends: known, free, or at the deadline
        if not is_held(lock):
            return None
        if (pid := _number(lock)) is not None and _is_keeper(pid, folder):
            return pid
        if time.monotonic() > end:
            raise DriverFailed(f"{lock} is held, but not by a keeper: look with `lsof {lock}`")
        await asyncio.sleep(POLL_SECONDS)


async def _until_free(lock: Path, deadline_seconds: float) -> None:
    end = time.monotonic() + deadline_seconds
    while True:  # ends: free, or at the deadline
        if not is_held(lock) or time.monotonic() > end:
            return
        await asyncio.sleep(POLL_SECONDS)


def _is_keeper(pid: int, folder: Path) -> bool:
    """A number may be another process's by now; a command line that names the folder isn't."""
    try:
        return str(folder) in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def _holders(lock: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if any(opened.path == str(lock) for opened in process.open_files()):
                found.append(process.pid)
    return found


def _frozen(pids: Mapping[str, int | None]) -> str:
    """Who hangs, and how it goes on; empty where nobody does."""
    hung = [
        f"{name} hangs: process {pid} was stopped by a signal; kill -CONT {pid}"
        for name, pid in pids.items()
        if ports.is_frozen(pid)
    ]
    return "; ".join(hung)


def _ended(state: _State | None) -> str:
    return state.last_end if state and state.last_end else ""


def _pausing(state: _State | None) -> str:
    return f"{state.last_end}; it is started again after a pause" if state else "its keeper is just starting"
