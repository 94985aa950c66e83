"""Processes that a test starts itself, in its own time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import ServiceProcess


@pytest.fixture
def service_later(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """As `service`, not started yet: what it connects to may live in the test's own event loop."""
    made: list[ServiceProcess] = []

    def make(name: str, **env: str) -> ServiceProcess:
        process = ServiceProcess(name, tmp_path / f"{name}-{len(made)}.log", env)
        made.append(process)
        return process

    yield make
    for process in made:
        process.stop()
