"""`uniassist up` as a real process, and what a person or a script does with it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, cast

import psutil
from tests import forking
from tests.ports import free_port
from tests.waiting import eventually

from uniassist.devstack.state import StateDirectory

Json = dict[str, Any]

PORTS = ("GATEWAY_PORT", "ADAPTER_WECHAT_PORT", "WORKER_PORT", "PROVIDER_PLAN_PORT", "PROVIDER_REMINDER_PORT")
SERVICES = ("provider-plan", "provider-reminder", "adapter-wechat", "gateway", "worker")
READY_SECONDS = 90.0
STOP_SECONDS = 60.0
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


class System:
    """A state directory with an environment of its own; `up` may run on it, once or again.

    for_real: `up` and all that it starts load their modules themselves, and have command lines of their own.
    """

    def __init__(self, directory: Path, *, for_real: bool = False, **env: str) -> None:
        self.for_real = for_real
        self.directory = directory
        self.output = directory.with_name(f"{directory.name}.out")
        self.env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # As a newcomer's, whose shell doesn't find `uniassist`: what is printed differs by that.
        own = str(Path(sys.executable).parent)
        self.env["PATH"] = os.pathsep.join(each for each in os.get_exec_path() if each != own)
        self.env |= {name: str(free_port()) for name in PORTS} | env
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, deadline_seconds: float = READY_SECONDS) -> subprocess.CompletedProcess[str]:
        """A command of ours on this state directory, to its end."""
        typed = [*arguments, "--state-dir", str(self.directory)]
        return forking.ended(typed, env=self.env, deadline_seconds=deadline_seconds)

    def begin(self) -> None:
        """`up` in the foreground; it is not waited for."""
        arguments = ["up", "--state-dir", str(self.directory)]
        with self.output.open("wb") as out:
            if self.for_real:
                command = [sys.executable, "-m", "uniassist.cli.main", *arguments]
                nothing = subprocess.DEVNULL
                self.process = subprocess.Popen(
                    command, env=self.env, stdin=nothing, stdout=out, stderr=out, start_new_session=True
                )
                return
            self.process = cast(
                "subprocess.Popen[bytes]", forking.fork("uniassist.cli.main", arguments, env=self.env, out=out)
            )

    async def up(self) -> None:
        self.begin()
        await self.says("Ctrl-C drains")

    def said(self) -> str:
        return self.output.read_text("utf-8", "replace")

    async def says(self, text: str, *, times: int = 1, deadline_seconds: float = READY_SECONDS) -> str:
        """Until the terminal shows `text`; gives all that it shows."""

        def shown() -> str:
            assert self.process is not None
            found = self.said()
            ended = self.process.poll()
            assert ended is None or found.count(text) >= times, f"`up` ended with {ended}:\n{found}"
            return found if found.count(text) >= times else ""

        return await eventually(shown, f"`up` says {text!r}", deadline_seconds)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self, deadline_seconds: float = STOP_SECONDS) -> int:
        """The exit code of `up`."""
        process = self.process
        assert process is not None
        await eventually(lambda: process.poll() is not None, f"`up` ended:\n{self.said()}", deadline_seconds)
        return int(process.returncode)

    def status(self) -> Json:
        """`status --json`, whatever its exit code."""
        done = self.run("status", "--json", "--secrets")
        return dict(json.loads(done.stdout))

    def pids(self) -> dict[str, int | None]:
        return {service["name"]: service["pid"] for service in self.status()["services"]}

    def url(self, service: str) -> str:
        variable = f"{service.upper().replace('-', '_')}_PORT"
        return f"http://127.0.0.1:{self.env[variable]}"

    def family(self) -> list[psutil.Process]:
        """All processes under `up`, at any depth."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def server(self, executable: str) -> psutil.Process:
        """The embedded server, a direct child of `up`, by its program's name."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if alive(child) and Path(child.exe()).name == executable)

    def end(self) -> None:
        """After a test: nothing is left, however it went."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        if StateDirectory(self.directory).is_locked():
            self.run("down", deadline_seconds=STOP_SECONDS * 2)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


async def gone(processes: list[psutil.Process], deadline_seconds: float = 30.0) -> None:
    await eventually(
        lambda: not any(alive(process) for process in processes),
        f"no process left of {[process.pid for process in processes]}",
        deadline_seconds,
    )


def get(url: str) -> tuple[int, Json]:
    """(0, {}) when nobody answers, or who did was ended in the middle of it."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except (urllib.error.URLError, OSError, http.client.HTTPException, json.JSONDecodeError):
        return 0, {}


def ingest(gateway: str, session_id: str, number: int, text: str = "你好") -> bool:
    """Whether the message was acknowledged."""
    body = {
        "schemaVersion": "v0",
        "traceId": f"{session_id}-{number}",
        "userId": "user-1",
        "sessionId": session_id,
        "source": "app",
        "timestampMs": int(time.time() * 1000),
        "text": text,
    }
    request = urllib.request.Request(
        f"{gateway}/v0/ingest", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except (urllib.error.URLError, OSError):
        return False


def timeline(gateway: str, session_id: str) -> list[Json]:
    events: list[Json] = []
    while True:  # ends: with an empty page
        cursor = events[-1]["seq"] if events else 0
        status, page = get(f"{gateway}/v0/timeline?sessionId={session_id}&cursor={cursor}")
        assert status == 200, page
        if not page["events"]:
            return events
        events += page["events"]
