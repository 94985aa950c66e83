"""A child process that is a server: started, watched, and stopped with its whole process group."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uniassist.devstack.logs import last_lines
from uniassist.errors import StartError

READY_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1
_PIPE_BYTES = 4096


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on right now.

    From below the range that systems take for outgoing connections, and at random: a server that is started again
    on its port must not find a stranger there.
    """
    for _ in range(1000):
        port = random.randrange(10_000, 32_000)  # noqa: S311 - spreads ports, keeps no secret
        if not port_is_taken(port):
            return port
    raise StartError("no free TCP port between 10000 and 32000")


def port_is_taken(port: int, host: str = "127.0.0.1") -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False


@dataclass(frozen=True)
class Account:
    """Whom a server runs as; Postgres refuses to be root."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> Account | None:
        """None: the user we are is fine."""
        if os.geteuid() != 0:
            return None
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)


def die_with_parent(with_signal: int) -> Callable[[], None] | None:
    """So that a SIGKILL of ours leaves no server behind (Linux); elsewhere the next start cleans up."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, with_signal)
        if os.getppid() != parent:
            os.kill(os.getpid(), with_signal)

    return arrange


def _open_private(path: str, flags: int) -> int:
    """A log tells what people did, and whatever a server finds worth telling."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)  # one that an older release made
    return descriptor


class ServerProcess:
    """One server process in a process group of its own; its output goes to `log`."""

    def __init__(self, name: str, log: Path, *, account: Account | None = None) -> None:
        self.name = name
        self.log = log.absolute()
        self.account = account
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._child.poll() if self._child else None

    def spawn(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        death_signal: int = signal.SIGKILL,
        stdin: bytes = b"",
    ) -> None:
        """Start it from the main thread: a parent's thread that ends would take the child with it.

        stdin: what it reads there, less than a pipe holds; then there is an end.
        """
        assert not self.running, f"{self.name} runs already"
        assert len(stdin) < _PIPE_BYTES
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab", opener=_open_private) as out:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
                preexec_fn=die_with_parent(death_signal),
            )
        if self._child.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._child.stdin as pipe:
                pipe.write(stdin)

    def wait_ready(self, probe: Callable[[], bool], deadline_seconds: float = READY_SECONDS) -> None:
        """Until `probe` is true; StartError with the log's last lines when it ends or the deadline passes."""
        end = time.monotonic() + deadline_seconds
        while time.monotonic() < end:
            if not self.running:
                raise StartError(f"{self.name} ended with {self.exit_code}:\n{self.last_lines()}")
            if probe():
                return
            time.sleep(0.02)  # only asking it tells
        self.kill()
        raise StartError(f"{self.name} was not ready in {deadline_seconds:.0f} s:\n{self.last_lines()}")

    def last_lines(self, count: int = 15) -> str:
        return last_lines(self.log, count)

    def send(self, number: int) -> None:
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, deadline_seconds: float = 15.0) -> bool:
        """Ask, wait, then SIGKILL the group. True when it went by itself."""
        if self._child is None or not self.running:
            return True
        self._child.send_signal(number)
        try:
            self._child.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        if self._child is None or not self.running:
            return
        os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(10)

    def pause(self) -> None:
        if self._child is not None:
            os.killpg(self._child.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self._child is not None:
            os.killpg(self._child.pid, signal.SIGCONT)
