"""The release tooling as an operator runs it, and everything that a database and a Redis hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from redis import Redis
from tests import forking

from uniassist.release.checks.injected import DRILL_PREFIX

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
RUN_SECONDS = 100.0


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


class Command:
    """`uniassist …` in `folder`, with just the given environment and no terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, **env: str) -> Ended:
        process = self.start(arguments, env)
        out, err = process.communicate(timeout=RUN_SECONDS)
        return Ended(process.returncode, out, err)

    def interrupted(self, *arguments: str, when: Callable[[str], bool], **env: str) -> Ended:
        """Ctrl-C as soon as a line of its output is what `when` waits for."""
        process = self.start(arguments, env)
        deadline = threading.Timer(RUN_SECONDS, process.kill)
        deadline.start()
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if when(line):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate()
        deadline.cancel()
        return Ended(process.returncode, "".join(lines) + out, err)

    def start(self, arguments: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
        kept = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        # As in a shell whose virtual environment is active: commands that are suggested can be run by their name.
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return forking.uniassist(arguments, env={**kept, **env}, cwd=self.folder)


def everything(database_url: str, redis_url: str) -> dict[str, Any]:
    """Rows and keys, to compare before and after; of streams a drill's entries only: a worker trims its own."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        found: dict[str, Any] = {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in ("outbox_events", "outbox_replay_log", "timeline_events", "sessions")
        }
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter():
            kind = redis.type(key)
            found[key.decode()] = _of_drills(redis.xrange(key)) if kind == b"stream" else redis.get(key)
    return found


def _of_drills(entries: Any) -> list[Any]:
    return [entry for entry in entries if entry[1].get(b"eventId", b"").startswith(DRILL_PREFIX.encode())]
