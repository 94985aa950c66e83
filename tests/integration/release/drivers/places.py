"""Where the contract tests run a service: a driver, its releases, and hands of their own to break things with."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.waiting import eventually

from uniassist.devstack.direct import direct
from uniassist.release.drivers.choose import choose
from uniassist.release.drivers.driver import Driver, Observed
from uniassist.release.drivers.local import LocalDriver
from uniassist.release.drivers.manual import ManualDriver
from uniassist.release.records.kept_releases import Release

HERE = Path(__file__).parent
TINY = HERE / "tiny.py"
SERVICE = "gateway"


def tiny_program(python: Path, service: str) -> list[str]:
    return [str(python), "-m", "tiny", service]


class Place:
    """One service under one driver. `environ` is what the operator's own commands need."""

    def __init__(self, name: str, folder: Path, *, port: int | None = None) -> None:
        self.name = name
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {"PLACE": str(folder), "TINY": str(TINY), "PYTHON": sys.executable}
        self.said: list[str] = []
        self._person: subprocess.Popen[str] | None = None
        (folder / "home").mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def driver(self, *, deadline_seconds: float = 20.0, drain_seconds: float = 10.0) -> Driver:
        urls = {SERVICE: self.url}
        if self.name == "local":
            return LocalDriver(self.home, urls=urls, program=tiny_program, drain_seconds=drain_seconds)
        if self.name == "manual":
            return ManualDriver(urls, self._tell, deadline_seconds=deadline_seconds)
        file = HERE / "operator.toml"
        return choose("exec", home=self.home, urls=urls, say=self.said.append, mask=str, file=file)

    def release(self, tag: str, **env: str) -> Release:
        """Made once; the same each time."""
        values = {"UNIASSIST_ENV": "test", "GATEWAY_PORT": str(self.port), "LAMP": tag, **env}
        text = "".join(f"{name}={value}\n" for name, value in values.items())
        digest = hashlib.sha256(text.encode()).hexdigest()
        folder = self.folder / "releases" / f"{tag}-{digest[:8]}"
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "env").write_text(text)
            (folder / "requirements.txt").write_text("")
            _tiny_wheel(folder / "tiny-1-py3-none-any.whl")
        wheel = hashlib.sha256((folder / "tiny-1-py3-none-any.whl").read_bytes()).hexdigest()
        return Release(folder.name, tag, "c" * 40, wheel, digest, folder)

    def health(self) -> dict[str, Any] | None:
        """What anybody sees at the URL. None: nobody answers, or who did was ended in the middle of it."""
        try:
            with direct.open(f"{self.url}/health", timeout=2) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, OSError, http.client.HTTPException, json.JSONDecodeError):
            return None

    async def healthy(self, driver: Driver, tag: str) -> Observed:
        async def look() -> Observed | None:
            seen = await driver.observe(SERVICE)
            return seen if seen.ok and seen.revision == tag and not seen.stranger else None

        return await eventually(look, f"{tag} healthy")

    def kill_service(self) -> None:
        health = self.health()
        assert health is not None
        os.kill(health["pid"], signal.SIGKILL)

    async def clear(self) -> None:
        """Nothing runs, nothing is remembered of what ran."""
        if self._person is not None:
            assert self._person.stdin is not None
            self._person.stdin.close()
            self._person.wait(20)
            self._person = None
        elif self.name != "manual":
            await self.driver().stop(SERVICE)
        for name in ("pid", "calls", "log", "known"):
            (self.folder / name).unlink(missing_ok=True)
        self.said.clear()

    def _tell(self, line: str) -> None:
        self.said.append(line)
        if self._person is None:
            self._person = subprocess.Popen(
                [sys.executable, "-I", "-S", str(HERE / "person.py"), str(TINY)], stdin=subprocess.PIPE, text=True
            )
        assert self._person.stdin is not None
        self._person.stdin.write(line + "\n")
        self._person.stdin.flush()


async def started_tool(place: Place, tag: str) -> asyncio.subprocess.Process:
    """A process that deploys, to be killed."""
    arguments = (place.name, str(place.folder), str(place.port), tag)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.release.drivers.tool", *arguments
    )


@contextlib.contextmanager
def stranger(port: int) -> Iterator[int]:
    """A gateway that none of ours started; its process id."""
    env = {"GATEWAY_PORT": str(port), "UNIASSIST_REVISION": "v0", "UNIASSIST_INSTANCE": "not-yours"}
    process = subprocess.Popen([sys.executable, "-I", "-S", str(TINY), SERVICE], env=env, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def _tiny_wheel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.write(TINY, "tiny.py")
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
