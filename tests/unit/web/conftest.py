"""The sample service as a process, one for the whole run where a test doesn't stop it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SAMPLE = Path(__file__).with_name("sample.py")
START_SECONDS = 20.0


@dataclass
class SampleProcess:
    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def finish(self, seconds: float = 15.0) -> str:
        """Wait for its end; returns what else it logged."""
        _, logged = self.process.communicate(timeout=seconds)
        return logged


def start_sample() -> SampleProcess:
    process = subprocess.Popen([sys.executable, str(SAMPLE), "0"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        line = process.stderr.readline()
        if not line:
            break
        event = json.loads(line)
        if event["event"] == "listening":
            return SampleProcess(process, event["port"])
    process.kill()
    process.communicate()
    raise AssertionError("the sample service did not start")


def _stop(sample: SampleProcess) -> None:
    if sample.process.poll() is None:
        sample.process.terminate()
        try:
            sample.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            sample.process.kill()
            sample.process.communicate()


@pytest.fixture(scope="session")
def sample() -> Iterator[SampleProcess]:
    started = start_sample()
    yield started
    _stop(started)


@pytest.fixture
def own_sample() -> Iterator[SampleProcess]:
    """One that the test may stop."""
    started = start_sample()
    yield started
    _stop(started)
