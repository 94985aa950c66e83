"""`@ag-ui/client` as a process of Node's: what is asked of it, and what it says, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.waiting import eventually

AGUI = os.environ.get("UNIASSIST_AGUI")
_HERE = Path(__file__).parent
_FILES = (_HERE / "agui_peer.mjs", _HERE.parents[3] / "examples" / "ag_ui" / "resumable.mjs")


@dataclass
class AgUiPeer:
    """`lines`: all that it said. `events`: AG-UI's own, as the package handed them to a subscriber."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [line["event"] for line in self.lines if "event" in line]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def texts(self) -> list[str]:
        return next((line["texts"] for line in reversed(self.lines) if "texts" in line), [])

    def begin(self, act: str, **more: Any) -> asyncio.Task[dict[str, Any]]:
        assert self.process.stdin is not None
        number = sum(1 for line in self.lines if line.get("done") == act)
        self.process.stdin.write(json.dumps({"do": act, **more}).encode() + b"\n")
        return asyncio.create_task(self._done(act, number))

    async def do(self, act: str, **more: Any) -> dict[str, Any]:
        return await self.begin(act, **more)

    async def read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.lines.append(json.loads(line))

    async def _done(self, act: str, number: int) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines if line.get("done") == act]

        await eventually(lambda: len(found()) > number, f"{act} is done", 90)
        return found()[number]


@asynccontextmanager
async def agui_peer(folder: Path, url: str, thread_id: str) -> AsyncIterator[AgUiPeer]:
    """`folder`: where the package is installed. Whatever the package warned of fails the test."""
    for file in _FILES:  # beside the package, where Node looks for it
        shutil.copy(file, folder)
    process = await asyncio.create_subprocess_exec(
        "node",
        str(folder / _FILES[0].name),
        f"{url}/ag-ui",
        thread_id,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**22,
    )
    peer = AgUiPeer(process)
    reading = asyncio.create_task(peer.read())
    try:
        yield peer
        warned = [line for line in peer.lines if "warned" in line]
        assert not warned, warned
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
