"""Systems for the tests of `up`: one that is left running, and any number of a test's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.devstack.system import System

_numbers = itertools.count()


@pytest.fixture
def new_system(server_directory: Path) -> Iterator[Callable[..., System]]:
    """`new_system(DATABASE_URL=…)`: ports and a state directory of its own, nothing started."""
    made: list[System] = []

    def make(**env: Any) -> System:
        made.append(System(server_directory / f"up-{next(_numbers)}", **env))
        return made[-1]

    yield make
    for system in made:
        system.end()


@pytest.fixture(scope="module")
def running(server_directory: Path) -> Iterator[System]:
    """A system that is up; tests that share it leave it so."""
    system = System(server_directory / f"up-{next(_numbers)}")
    asyncio.run(system.up())
    yield system
    system.end()
