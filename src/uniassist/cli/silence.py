"""What is under way, for whoever waits: redrawn on a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from uniassist.terminal import raw

FIRST_SECONDS = 2.0
AGAIN_SECONDS = 15.0
REDRAW_SECONDS = 1.0
_CLEARED = "\r\x1b[K"


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Something that may take its time, and says nothing before it is over; told on stderr."""
    told = Silence(sys.stderr, is_live=sys.stderr.isatty())
    told.began(what)
    try:
        yield
    finally:
        told.end()


class Silence:
    """Writes finished lines to `out`, and between them what is under way, with how long it has been.

    On a terminal at once and then each second, in place; elsewhere after two seconds and then each fifteen, as a
    line of its own. A thread does it, so that whatever is under way may hold everything else up.
    """

    def __init__(self, out: TextIO, *, is_live: bool) -> None:
        self._out = out
        self._is_live = is_live
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._line: str | None = None
        self._began_at = 0.0
        self._due_at = 0.0

    def say(self, line: str) -> None:
        """A finished line; then nothing is under way."""
        with self._changed:
            self._line = None
            self._clear()
            self._print(line + "\n")

    def began(self, line: str) -> None:
        """Until the next line. One that is under way already may change its words: its silence goes on."""
        with self._changed:
            now = time.monotonic()
            self._began_at = now
            if self._line is None:
                self._due_at = now + (REDRAW_SECONDS if self._is_live else FIRST_SECONDS)
            self._line = line
            if self._is_live:
                self._draw(now)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="silence", daemon=True)
                self._thread.start()
            self._changed.notify()

    def end(self) -> None:
        """Nothing is under way, and nothing stands on the terminal that was."""
        with self._changed:
            self._line = None
            self._clear()

    def _run(self) -> None:
        with self._changed:
            while True:  # ends: with the process
                if self._line is None:
                    self._changed.wait()
                    continue
                now = time.monotonic()
                if now < self._due_at:
                    self._changed.wait(self._due_at - now)
                    continue
                self._draw(now)
                self._due_at = now + (REDRAW_SECONDS if self._is_live else AGAIN_SECONDS)

    def _draw(self, now: float) -> None:
        seconds = now - self._began_at
        line, since = str(self._line), f" {seconds:.0f} s" if seconds >= FIRST_SECONDS else ""
        if self._is_live:
            self._clear()
            self._print(line[: shutil.get_terminal_size().columns - 1 - len(since)] + since)
        else:
            self._print(f"      {line}{since}\n")

    def _clear(self) -> None:
        if self._is_live:
            with contextlib.suppress(OSError, ValueError):
                raw(self._out).write(_CLEARED)

    def _print(self, text: str) -> None:
        """A log on a full disk, a terminal that is gone: what is done goes on."""
        with contextlib.suppress(OSError, ValueError):
            self._out.write(text)
            self._out.flush()
