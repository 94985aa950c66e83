"""Commands as processes of their own: each has an end, and what is kept of its words has a bound.

`run` waits for a command and has a deadline. `follow` passes its lines on as they come. `run_blocking` is for code
without an event loop. A process is in a session of its own, so that a Ctrl-C in our terminal is ours to answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from uniassist.errors import StartError
from uniassist.release.interrupts import to_the_end

KEPT_BYTES = 64 * 1024
STOP_SECONDS = 60.0
# What a child needs of our own environment; settings are never passed on by accident.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "PYTHONPATH")


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    code: its exit code; None: the deadline passed, and it was killed.
    out, err: what it said; of `run` the last KEPT_BYTES of each.
    """

    code: int | None
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it said, for a message: the errors first."""
        return "\n".join(text for text in (self.err.strip(), self.out.strip()) if text)[-2000:]


def inherited() -> dict[str, str]:
    """The part of our environment that any child gets."""
    return {key: os.environ[key] for key in _INHERITED if key in os.environ}


def uniassist(*arguments: str) -> list[str]:
    """Our own executable, as a command line."""
    return [sys.executable, "-m", "uniassist.cli.main", *arguments]


async def run(
    command: Sequence[str],
    env: Mapping[str, str],
    deadline_seconds: float,
    *,
    cwd: Path | None = None,
    umask: int = -1,
    given: bytes = b"",
    pass_fds: Sequence[int] = (),
    began: Callable[[int], None] = lambda _pid: None,
) -> Ended:
    """Run it to its end or to the deadline. OSError when there is no such program.

    given: its standard input.
    umask: -1 leaves ours.
    began: gets the number of its process.

    Whatever ends us, but for a SIGKILL, ends it and what it started. Its words go to files: what it leaves in the
    background would hold a pipe open, and us with it.
    """
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        words.write(given)
        words.seek(0)
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(env),
            cwd=cwd,
            umask=umask,
            stdin=words,
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
                _kill_group(process.pid)
                await process.wait()
        return Ended(code, _end_of(out), _end_of(err))


async def run_uniassist(env: Mapping[str, str], deadline_seconds: float, *arguments: str) -> Ended:
    """Our own executable. StartError when it isn't done within the deadline."""
    ended = await run(uniassist(*arguments), env, deadline_seconds)
    if ended.code is None:
        raise StartError(f"uniassist {arguments[0]}: not done within {deadline_seconds:.0f} s")
    return ended


async def follow(
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """Its exit code; its lines, errors among them, go to `say` as they come. The caller has the deadline.

    env: None is ours.

    When the caller is cancelled, the command gets SIGINT and STOP_SECONDS to clean up after itself, then SIGKILL.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None, "asked for above"
    try:
        async for line in process.stdout:
            say(line.decode("utf-8", "replace").rstrip("\n"))
        return await process.wait()
    finally:
        await to_the_end(_stop, process)


def run_blocking(command: Sequence[str], deadline_seconds: float) -> Ended:
    """Run it in our environment to its end or to the deadline. OSError when there is no such program."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=deadline_seconds, check=False)
    except subprocess.TimeoutExpired:
        return Ended(None, "", "")
    return Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()
    except TimeoutError:
        _kill_group(process.pid)
        await process.wait()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - KEPT_BYTES))
    return file.read().decode("utf-8", "replace")
