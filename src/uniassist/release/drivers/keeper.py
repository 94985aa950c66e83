"""Keeps one service running on this host: starts it, starts it again when it ends, drains it when told to stop.

`python -I keeper.py FOLDER ORDER` reads FOLDER/order.json and goes to the background; the service gets the
environment that the keeper was started with, and UNIASSIST_INSTANCE. It ends where ORDER, the order's id, isn't
wanted by the time that it has its lock: whoever started it was killed, and another one went on. The release tool
runs a copy of this file that lies where the services run, with the system's Python: so it imports nothing but the
standard library, and neither a release's removal nor the tool's upgrade pulls the ground from under it.

Who runs is told by two locks, never by a process id that outlived its process. `keeper.lock` is held as long as
the keeper lives. `service.lock` is inherited by the service and held as long as anything of it lives, also when
its keeper was killed. Each holds the number of the process that it tells of.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import FrameType

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
# Ends within this time make the next pause longer.
LOOPING_SECONDS = 60.0
LOCK_SECONDS = 3.0
LOOK_SECONDS = 1.0
_NUMBER_WIDTH = 20


class Keeper:
    def __init__(self, folder: Path, keeper_lock: int) -> None:
        self._folder = folder
        self._lock = keeper_lock
        self._order = json.loads((folder / "order.json").read_text("utf-8"))
        self._log = folder / "log"
        self._child: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._instance = ""
        self._ends: deque[float] = deque(maxlen=8)
        self._last_end = ""
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> None:
        """Until SIGTERM. A closed terminal and a Ctrl-C in it are none of its business."""
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # Handlers, since what is ignored would be ignored by the service, too.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, self._on_stop)
        due_at: float | None = time.monotonic()
        while not self._stopping:
            if due_at is not None and time.monotonic() >= due_at:
                due_at = None if self._start() else self._note_end("doesn't start")
            elif self._child is not None and self._child.poll() is not None:
                ended = f"ended with {self._child.returncode}"
                self._kill_group()  # what it started and left
                due_at = self._note_end(ended)
            self._bound_log()
            wait = LOOK_SECONDS if due_at is None else max(0.0, min(LOOK_SECONDS, due_at - time.monotonic()))
            self._sleep(wait)
        self._drain()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _sleep(self, seconds: float) -> None:
        """Less when a signal comes."""
        select.select([self._wake_read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _start(self) -> bool:
        lock = os.open(self._folder / "service.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not take(lock, LOCK_SECONDS):
                self._say("error", "something of an earlier start still runs; the new one waits")
                return False
            _write_number(lock, "")
            self._instance = f"{self._order['id']}.{self._starts}"
            with self._log.open("ab") as out:
                self._child = subprocess.Popen(
                    self._order["command"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env={**os.environ, "UNIASSIST_INSTANCE": self._instance},
                    cwd=self._order["workingDirectory"],
                    start_new_session=True,
                    pass_fds=(lock,),
                    # Before anything else of it runs, so that there is never a service without a number.
                    preexec_fn=lambda: _write_number(lock, str(os.getpid())),
                )
        except (OSError, subprocess.SubprocessError) as error:
            self._say("error", f"doesn't start: {error}")
            return False
        finally:
            os.close(lock)
        self._starts += 1
        self._say("info", f"started as process {self._child.pid}, instance {self._instance}")
        self._write("running")
        return True

    def _note_end(self, how: str) -> float:
        """When it is to be started again."""
        now = time.monotonic()
        self._child = None
        self._ends.append(now)
        recent = sum(now - end < LOOPING_SECONDS for end in self._ends)
        pause: float = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (recent - 1))
        self._last_end = how
        self._say("warning", f"{how}; starts again in {pause:.1f} s")
        self._write("pausing")
        return now + pause

    def _drain(self) -> None:
        child = self._child
        if child is not None and child.poll() is None:
            self._write("stopping")
            self._say("info", f"draining, at most {self._order['drainSeconds']:g} s")
            child.send_signal(signal.SIGTERM)
            end = time.monotonic() + self._order["drainSeconds"]
            while child.poll() is None and time.monotonic() < end:
                self._sleep(min(0.2, max(0.0, end - time.monotonic())))
            if child.poll() is None:
                self._say("warning", "not drained in time: killed")
                self._kill_group()
                child.wait()
            self._last_end = f"ended with {child.returncode}"
        self._kill_group()
        self._say("info", f"stopped; {self._last_end or 'it did not run'}")
        self._child = None
        self._write("stopped")

    def _kill_group(self) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # EPERM: macOS, of a group of zombies
                os.killpg(self._child.pid, signal.SIGKILL)

    def _write(self, phase: str) -> None:
        """Whole or not at all."""
        state = {
            "order": self._order["id"],
            "phase": phase,
            "pid": self._child.pid if self._child else None,
            "instance": self._instance,
            "starts": self._starts,
            "lastEnd": self._last_end,
            "at": time.time(),
        }
        new, path, text = self._folder / "state.new", self._folder / "state.json", json.dumps(state)
        try:
            new.write_text(text, "utf-8")
            new.replace(path)
        except OSError:  # a full disk must not end what keeps the service: then in the room that the file has
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
                with path.open("r+", encoding="utf-8") as out:
                    out.write(text)
                    out.truncate()

    def _say(self, level: str, event: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = {
            "event": event,
            "level": level,
            "timestamp": at,
            "service": self._order["service"],
            "from": "keeper",
        }
        with contextlib.suppress(OSError), self._log.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _bound_log(self) -> None:
        """Keep the end of a log that has grown large as `.1` and begin anew; its writers append, so they go on.

        No more than the bound is copied: a service may write faster than we copy.
        """
        bound = self._order["maxLogBytes"]
        with contextlib.suppress(OSError):
            if (size := self._log.stat().st_size) > bound:
                with self._log.open("rb") as log:
                    log.seek(size - bound)
                    (self._folder / "log.1").write_bytes(log.read(bound))
                os.truncate(self._log, 0)


def take(lock: int, deadline_seconds: float) -> bool:
    """Whoever only looks holds it for an instant; whoever runs, for long."""
    end = time.monotonic() + deadline_seconds
    while True:  # ends: taken, or at the deadline
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.005)  # flock waits for ever or not at all
        else:
            return True


def _write_number(lock: int, number: str) -> None:
    """Always of one width, so that a full disk has room for it once it was written."""
    os.pwrite(lock, number.ljust(_NUMBER_WIDTH).encode(), 0)


def _is_wanted(folder: Path, order: str) -> bool:
    stopped = folder / "stopped"
    if stopped.exists() and stopped.read_text("utf-8") == order:
        return False
    return bool(json.loads((folder / "order.json").read_text("utf-8"))["id"] == order)


def main(folder: Path, order: str) -> int:
    """0 once the keeper is in the background and has its lock."""
    lock = os.open(folder / "keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not take(lock, LOCK_SECONDS):
        sys.stderr.write(f"{folder / 'keeper.lock'}: another keeper holds it\n")
        return 1
    if not _is_wanted(folder, order):
        sys.stderr.write(f"{folder}: order {order} isn't wanted any more\n")
        return 1
    _write_number(lock, "")
    if os.fork():
        return 0  # the lock stays with the child
    os.setsid()
    _write_number(lock, str(os.getpid()))
    (folder / "log").touch(0o600)
    Keeper(folder, lock).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
