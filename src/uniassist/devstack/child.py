"""One program under `up`: started, watched, started again when it ends, with growing pauses."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uniassist.devstack.server import ServerProcess
from uniassist.errors import StartError

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
LOOPING_COUNT, LOOPING_SECONDS = 5, 60.0


class Runnable(Protocol):
    """An embedded server, or a service."""

    process: ServerProcess

    def start(self) -> None: ...
    def ask_to_stop(self) -> None: ...


@dataclass(frozen=True)
class Program:
    """A service to run: its command line, environment and where it answers."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    url: str
    log: Path

    def runnable(self) -> Runnable:
        return _Service(self)


class _Service:
    def __init__(self, program: Program) -> None:
        self._program = program
        self.process = ServerProcess(program.name, program.log)

    def start(self) -> None:
        self.process.spawn(self._program.command, env=self._program.env)

    def ask_to_stop(self) -> None:
        self.process.send(signal.SIGTERM)


class Child:
    """`look` is called often; it never blocks for longer than a start takes. `now` is monotonic, in seconds."""

    def __init__(self, name: str, runnable: Runnable, say: Callable[[str], None]) -> None:
        self.name = name
        self.runnable = runnable
        self.restarts = 0
        self._say = say
        self._ends: deque[float] = deque(maxlen=LOOPING_COUNT)
        self._due_at: float | None = None

    @property
    def pid(self) -> int | None:
        process = self.runnable.process
        return process.pid if process.running else None

    def look(self, now: float) -> bool:
        """Notice an end, start again when it is due. True when something changed."""
        if self.runnable.process.running:
            return False
        if self._due_at is None:
            self._ends.append(now)
            pause = self._pause()
            self._due_at = now + pause
            self._say(f"{self.name} ended with {self.runnable.process.exit_code}{self._last_words()}")
            self._say(f"{self.name} starts again in {pause:.1f} s{self._looping(now)}")
            return True
        if now < self._due_at:
            return False
        self._due_at = None
        self.restarts += 1
        try:
            self.runnable.start()
        except (StartError, OSError) as error:
            self._say(f"{self.name} doesn't start: {error}")
        return True

    def _pause(self) -> float:
        return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self._recent(self._ends[-1]) - 1)))

    def _recent(self, now: float) -> int:
        return sum(now - end < LOOPING_SECONDS for end in self._ends)

    def _looping(self, now: float) -> str:
        if self._recent(now) < LOOPING_COUNT:
            return ""
        return f": it ended {LOOPING_COUNT} times within a minute; its log: {self.runnable.process.log}"

    def _last_words(self) -> str:
        lines = self.runnable.process.last_lines(3)
        return f"; its last lines:\n    {lines.replace(chr(10), chr(10) + '    ')}" if lines else ""


def check_runs(child: Child) -> None:
    """StartError with the log's last lines when it has ended."""
    process = child.runnable.process
    if not process.running:
        raise StartError(f"{child.name} ended with {process.exit_code}:\n{process.last_lines()}")


def wait_or_raise(child: Child, is_ready: Callable[[], bool], deadline_seconds: float) -> None:
    """Until ready; StartError with the log's last lines when it ends first, or takes too long."""
    end = time.monotonic() + deadline_seconds
    while not is_ready():
        check_runs(child)
        if time.monotonic() > end:
            last = child.runnable.process.last_lines()
            raise StartError(f"{child.name} was not ready in {deadline_seconds:.0f} s:\n{last}")
        time.sleep(0.05)  # only asking it tells
