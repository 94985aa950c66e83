"""A command as a process: bounded in time and in what is kept of its words, not waited for beyond its own end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

KEPT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Ended:
    """`code` None: the deadline passed, and it was ended. `out`, `err`: the end of what it said."""

    code: int | None
    out: str
    err: str

    @property
    def words(self) -> str:
        return "\n".join(text for text in (self.err.strip(), self.out.strip()) if text)[-2000:]


async def run(
    command: Sequence[str],
    env: Mapping[str, str],
    deadline_seconds: float,
    *,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    began: Callable[[int], None] = lambda _pid: None,
) -> Ended:
    """OSError when there is no such program. It ends with us, but for a SIGKILL of ours; `began` gets its number.

    Its words go to a file: what it leaves in the background would hold a pipe open, and us with it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        try:
            began(process.pid)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), deadline_seconds)
            code = process.returncode
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return Ended(code, _end_of(out), _end_of(err))


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - KEPT_BYTES))
    return file.read().decode("utf-8", "replace")
