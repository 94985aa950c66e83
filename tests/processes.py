"""A service of ours as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from tests.becoming import starts_for_real
from tests.forking import fork
from tests.ports import free_port
from uniassist.devstack.server import ServerProcess

ADAPTER_SECRET = "test-adapter-secret-0123456789"
CONTEXT_TOKEN = "test-context-token-0123456789"
WECHAT_TOKEN = "AAAAA"

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


class ForkedServer(ServerProcess):
    """Started by a fork (`tests.forking`), where that makes no difference."""

    def spawn(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        death_signal: int = signal.SIGKILL,
        stdin: bytes = b"",
    ) -> None:
        if env is None or list(command[:2]) != [sys.executable, "-m"] or starts_for_real(env):
            super().spawn(command, env=env, cwd=cwd, death_signal=death_signal, stdin=stdin)
            return
        assert not self.running, f"{self.name} runs already"
        _, _, module, *arguments = command
        with self.log.open("ab") as out:
            self._child = cast("subprocess.Popen[bytes]", fork(module, arguments, env=env, out=out))


class ServiceProcess:
    """`uniassist <name>` with just the given environment, on 127.0.0.1 and a free port.

    `module`: one that changes what no setting can, and then runs the same command.
    """

    def __init__(self, name: str, log: Path, env: dict[str, str], module: str = "uniassist.cli.main") -> None:
        self.name = name
        self.module = module
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: ServerProcess = ForkedServer(name, log)
        self.env = {
            **{key: os.environ[key] for key in _INHERITED if key in os.environ},
            "UNIASSIST_ENV": "test",
            "PORT": str(self.port),
            "UNIASSIST_ADAPTER_SECRET": ADAPTER_SECRET,
            "UNIASSIST_PROVIDER_CONTEXT_TOKEN": CONTEXT_TOKEN,
            "WECHAT_TOKEN": WECHAT_TOKEN,
            **env,
        }

    def start(self) -> None:
        self.process.spawn([sys.executable, "-m", self.module, self.name], env=self.env)
        self.process.wait_ready(self._lives)

    def stop(self) -> bool:
        return self.process.stop(deadline_seconds=20)

    def kill(self) -> None:
        self.process.kill()

    def scraped(self) -> str:
        """Its metrics, as text."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def _lives(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
