"""The services' log files, shown as they grow: each line with its service's name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

MAX_READ_BYTES = 256 * 1024
MAX_LOG_BYTES = 50 * 1024 * 1024
_LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3, "critical": 4}


def bound(path: Path) -> None:
    """Keep a log that has grown large beside it as `.1`, and begin anew; its writer appends, so it goes on."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        older = path.with_suffix(path.suffix + ".1")
        shutil.copyfile(path, older)
        older.chmod(0o600)
        os.truncate(path, 0)


def last_lines(path: Path, count: int) -> str:
    """Of a log that may be large, or not there."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16_384))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])


class LogTail:
    """Follows one file from its present end. `threshold`: the least severe level that is shown."""

    def __init__(self, name: str, path: Path, say: Callable[[str], None], *, threshold: str) -> None:
        self._name = name
        self._path = path
        self._say = say
        self._threshold = _LEVELS[threshold]
        self._at = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def show_new(self) -> None:
        try:
            size = self._path.stat().st_size
            if size <= self._at:
                self._at = size
                return
            with self._path.open("rb") as log:
                log.seek(self._at)
                read = log.read(MAX_READ_BYTES)
        except FileNotFoundError:
            return
        self._at += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in lines:
            shown = self._shown(line.decode("utf-8", "replace").rstrip())
            if shown:
                self._say(f"{self._name:<14} {shown}")

    def _shown(self, line: str) -> str:
        try:
            fields = json.loads(line)
            level, event = str(fields.pop("level")), str(fields.pop("event"))
        except (ValueError, KeyError, AttributeError, TypeError):
            return line  # not one of our lines: a traceback, a server's own words
        if _LEVELS.get(level, 3) < self._threshold:
            return ""
        for known in ("timestamp", "service"):
            fields.pop(known, None)
        rest = " ".join(f"{name}={value}" for name, value in fields.items())
        return f"{level}: {event}{f'  {rest}' if rest else ''}"
