"""The agents of `tests.a2a_agent` as a process of the tests', with what they log."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.processes import ForkedServer
from uniassist.devstack.server import ServerProcess

Json = dict[str, Any]


@dataclass(frozen=True)
class ScriptedAgents:
    """What `tests.a2a_agent` runs. `folder`: what they log, and wait for."""

    url: str
    folder: Path
    process: ServerProcess

    @property
    def log(self) -> list[Json]:
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def messages(self, text: str) -> list[Json]:
        """Those that they got with just this text."""
        return [each for each in self.log if each.get("text") == text]

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def hold(self) -> None:
        (self.folder / "go").unlink(missing_ok=True)

    def start(self) -> None:
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "tests.a2a_agent", port, str(self.folder)]
        self.process.spawn(command, env={"PATH": os.environ["PATH"]})
        self.process.wait_ready(lambda: _answers(f"{self.url}/rpc/.well-known/agent-card.json"))

    def restart(self) -> None:
        """It dies, and is started again."""
        self.process.kill()
        self.start()


@contextmanager
def scripted_agents(folder: Path) -> Iterator[ScriptedAgents]:
    found = ScriptedAgents(f"http://127.0.0.1:{free_port()}", folder, ForkedServer("agents", folder / "out"))
    found.start()
    try:
        yield found
    finally:
        found.let_go()
        found.process.stop(deadline_seconds=10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
