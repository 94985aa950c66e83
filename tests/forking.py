"""`uniassist …` and the services as processes that are forked from one that has loaded everything already.

A start of Python with all our modules costs a second of CPU, and the tests make a thousand of them. What is forked
is a process of its own with its own environment, folder, descriptors and session, to be signalled, killed, waited
for like any other; what it starts of ours is forked too (`tests.becoming`). What is lost is that it loads its
modules itself, for which enough tests start the command for real: those of what `up` closes, of released wheels, of
the commands as printed, and whatever sets a variable that Python or a library reads when it loads.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

from tests.becoming import starts_for_real

_PER_MESSAGE = 256 * 1024
_ROOT = Path(__file__).parents[1]
_forker: Forker | None = None
_making = threading.Lock()  # tests start several services at once, in threads


class Forked:
    """What the tests use of `subprocess.Popen`."""

    def __init__(
        self, pid: int, told: socket.socket, stdout: IO[str] | None = None, stderr: IO[str] | None = None
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: IO[Any] | None = None
        self.stdout = stdout
        self.stderr = stderr
        self._told = told
        self._hearing = threading.Lock()  # one thread waits for its start while another kills it

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired(["uniassist"], timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and self._has_ended(timeout):
            with self._hearing:
                if self.returncode is None:
                    # Nothing: the forker died, and its children with it.
                    self.returncode = int(self._told.recv(32) or -signal.SIGKILL)
                    self._told.close()
        return self.returncode

    def _has_ended(self, timeout: float | None) -> bool:
        try:
            return bool(select.select([self._told], [], [], timeout)[0])
        except (OSError, ValueError):  # closed: another thread has just heard
            return True

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str | None, str | None]:
        """What it says until its end; TimeoutExpired as Popen's."""
        end = None if timeout is None else time.monotonic() + timeout
        pipes = [pipe for pipe in (self.stdout, self.stderr) if pipe is not None]
        heard: dict[int, list[bytes]] = {pipe.fileno(): [] for pipe in pipes}
        waiting = set(heard)
        while waiting:
            left = None if end is None else end - time.monotonic()
            ready = select.select(list(waiting), [], [], left if left is None else max(0, left))[0]
            if not ready:
                raise subprocess.TimeoutExpired(["uniassist"], timeout or 0)
            for descriptor in ready:
                heard[descriptor].append(os.read(descriptor, 65536))
                if not heard[descriptor][-1]:
                    waiting.discard(descriptor)
        self.wait(None if end is None else max(0, end - time.monotonic()))
        return _closed(self.stdout, heard), _closed(self.stderr, heard)


def _closed(pipe: IO[str] | None, heard: Mapping[int, Sequence[bytes]]) -> str | None:
    if pipe is None:
        return None
    with pipe:
        return b"".join(heard[pipe.fileno()]).decode("utf-8", "replace")


def fork(
    module: str,
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | str | None = None,
    out: IO[bytes] | None = None,
) -> Forked:
    """`python -m module arguments…`; its output goes to `out`, or to the pipes `stdout` and `stderr`."""
    global _forker
    with _making:
        if _forker is None:
            _forker = Forker()
    request = {
        "module": module,
        "arguments": list(arguments),
        "env": dict(env),
        "cwd": str(cwd or Path.cwd()),
    }
    if out is not None:
        return Forked(*_forker.ask(request, [out.fileno(), out.fileno()]))
    pipes = [os.pipe() for _ in range(2)]
    try:
        pid, told = _forker.ask(request, [theirs for _, theirs in pipes])
    finally:
        for _, theirs in pipes:
            os.close(theirs)
    return Forked(pid, told, *(os.fdopen(ours, errors="replace") for ours, _ in pipes))


def uniassist(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None
) -> subprocess.Popen[str]:
    """The command in a session of its own, without a terminal, its output in pipes; forked where that may be."""
    if not starts_for_real(env):
        return cast("subprocess.Popen[str]", fork("uniassist.cli.main", arguments, env=env, cwd=cwd))
    return subprocess.Popen(
        [sys.executable, "-m", "uniassist.cli.main", *arguments],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(
    arguments: Sequence[str], *, env: Mapping[str, str], deadline_seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """The command at its end."""
    started = uniassist(arguments, env=env)
    try:
        out, err = started.communicate(timeout=deadline_seconds)
    except subprocess.TimeoutExpired:
        started.kill()
        raise
    return subprocess.CompletedProcess(arguments, started.returncode, out, err)


class Forker:
    """The process that has loaded everything; it ends with us."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PER_MESSAGE)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forker", str(theirs.fileno())], cwd=_ROOT, pass_fds=[theirs.fileno()]
            )
        atexit.register(self._end)

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> tuple[int, socket.socket]:
        """Its pid, and where its exit code will be told."""
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [theirs.fileno(), *descriptors])
        return int(told.recv(32)), told

    def _end(self) -> None:
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
