from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import REDIS_FLAVOUR
from tests.server_faults import FaultyPostgres, FaultyRedis

from uniassist.devstack.postgres import EmbeddedPostgres

_numbers = itertools.count()


@pytest.fixture
def faulty_postgres(postgres_server: EmbeddedPostgres, database_url: str) -> Iterator[FaultyPostgres]:
    faulty = FaultyPostgres(postgres_server, database_url)
    yield faulty
    faulty.close()


@pytest.fixture
def faulty_redis(server_directory: Path) -> Iterator[Callable[[str], str]]:
    """`faulty_redis(fault)` is the URL of a server that has it."""
    faulty = FaultyRedis(server_directory / f"faulty-redis-{next(_numbers)}", REDIS_FLAVOUR)
    yield faulty.url
    faulty.close()
