"""Faults that `up` once had."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from tests.integration.devstack.system import System, alive
from tests.waiting import eventually

from uniassist.devstack.state import RunState, StateDirectory
from uniassist.errors import StartError

NewSystem = Callable[..., System]


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait(10)


async def test_down_spares_a_stranger_who_has_the_pid_of_a_killed_up(
    new_system: NewSystem, bystander: subprocess.Popen[bytes]
) -> None:
    system = new_system()
    directory = StateDirectory(system.directory)
    directory.logs.mkdir(parents=True)
    directory.write(RunState(bystander.pid, time.time() - 3600, True, "", "", []))
    with directory.locked():  # as the next `up` does, before it writes a state of its own
        down = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "uniassist.cli.main", "down", "--state-dir", str(system.directory), env=system.env
        )
        try:
            await eventually(
                lambda: down.returncode is not None or bystander.poll() is not None,
                "down has done what it does",
            )
        finally:
            if down.returncode is None:
                down.kill()
                await down.wait()
        assert bystander.poll() is None


def test_a_system_that_is_starting_is_not_said_to_be_nothing(new_system: NewSystem) -> None:
    system = new_system()
    directory = StateDirectory(system.directory)
    with directory.locked():
        assert "nothing runs" not in system.run("status").stdout
        assert "nothing runs" not in system.run("down", deadline_seconds=30).stdout


async def test_a_proxy_in_the_environment_does_not_come_between(new_system: NewSystem) -> None:
    system = new_system(http_proxy="http://127.0.0.1:9")
    system.begin()
    await system.says("provider-plan  ready", deadline_seconds=30)


async def test_the_service_that_ended_is_named_at_once(new_system: NewSystem) -> None:
    system = new_system(UNIASSIST_PROVIDERS_FILE="/nowhere/providers.toml")
    system.begin()
    assert await system.ended(35) == 1
    assert "uniassist: gateway ended with 1" in system.said()


async def test_a_second_ctrl_c_ends_at_once(new_system: NewSystem) -> None:
    system = new_system()
    await system.up()
    worker = psutil.Process(system.pids()["worker"])
    worker.suspend()
    system.signal(signal.SIGINT)
    try:
        await system.says("stopping  worker")
        system.signal(signal.SIGINT)
        await system.ended(6)
    finally:
        if alive(worker):
            worker.resume()


def test_looking_does_not_keep_an_up_from_starting(new_system: NewSystem) -> None:
    system = new_system()
    directory = StateDirectory(system.directory)
    directory.logs.mkdir(parents=True)
    looking = [
        subprocess.Popen(
            [sys.executable, "-c", _LOOK_ON_AND_ON, str(system.directory)], env=system.env, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        for process in looking:
            assert process.stdout is not None
            assert process.stdout.readline() == b"looking\n"
        end = time.monotonic() + 5
        while time.monotonic() < end:
            _take(directory)
    finally:
        for process in looking:
            process.kill()
            process.communicate(timeout=30)


_LOOK_ON_AND_ON = """
import sys, time
from pathlib import Path
from uniassist.devstack.state import StateDirectory
directory = StateDirectory(Path(sys.argv[1]))
print("looking", flush=True)
end = time.monotonic() + 30
while time.monotonic() < end:
    directory.is_locked()
"""


def _take(directory: StateDirectory) -> None:
    try:
        with directory.locked():
            pass
    except StartError as error:
        pytest.fail(f"nobody runs here, yet: {error}")
