"""Real servers for the tests: one Postgres and one Redis a session, a fresh database for each test."""

from __future__ import annotations

import fcntl
import gc
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from tests import scratch
from tests.processes import ServiceProcess
from tests.slow_first import spread
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis, Flavour
from uniassist.store import migrate

_numbers = itertools.count()
# Where no bytecode is written, each worker and each process that a test starts compiles the whole tree again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_in_memory = scratch.in_memory()  # before anybody asks for a temporary directory; workers have it from us
_SHARED = "TEST_SHARED_DIRECTORY"  # where a run's workers keep what one of them makes for all

# `make test-oldest` gives the oldest servers that we support.
_POSTGRES = Path(os.environ["TEST_POSTGRES_BIN"]) if os.environ.get("TEST_POSTGRES_BIN") else None
REDIS_FLAVOUR: Flavour = "redis-6.2" if os.environ.get("TEST_REDIS") == "6.2" else "valkey"

# The machine is shared with the services under test: no test says anything of speed.
settings.register_profile(
    "shared-machine",
    deadline=None,
    max_examples=int(os.environ.get("TEST_EXAMPLES", "100")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--leaks",
        action="store_true",
        help="collect garbage after each module, so that a connection left open fails there and not anywhere later",
    )


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if item.config.getoption("--leaks") and (nextitem is None or nextitem.path != item.path):
        gc.collect()


def pytest_configure(config: pytest.Config) -> None:
    if not _is_worker(config):
        # Not pytest's own temporary directory: that is closed to the account that Postgres runs as.
        os.environ[_SHARED] = tempfile.mkdtemp(prefix="uniassist-shared-")
        Path(os.environ[_SHARED]).chmod(0o755)
    # A run in the background of a shell ignores Ctrl-C, and so would every process that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as one under nohup ignores a terminal that closes
    gc.disable()  # thousands of tests are collected, and nothing of them is garbage


def pytest_collection_finish() -> None:
    gc.freeze()  # nor will it be: it needn't be looked at, not even once
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = spread(slow, rest, workers)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if not _is_worker(session.config):
        shutil.rmtree(os.environ[_SHARED], ignore_errors=True)
    if _in_memory is None:
        return
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        print(f"\nthe tests' files are kept until the next run: {_in_memory}")
    else:
        shutil.rmtree(_in_memory, ignore_errors=True)


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    # Not pytest's own temporary directory: that is closed to the account that Postgres runs as.
    directory = Path(tempfile.mkdtemp(prefix="uniassist-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_directory: Path, migrated_cluster: Path) -> Iterator[EmbeddedPostgres]:
    server = _copied(migrated_cluster, server_directory / "postgres")
    server.start()
    with psycopg.connect(server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("ALTER DATABASE uniassist RENAME TO template_uniassist")
        connection.execute("CREATE DATABASE uniassist")  # as it is on a server that is new
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(server_directory: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(server_directory / "redis", flavour=REDIS_FLAVOUR)
    server.start()
    yield server
    server.stop()


def _new_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url_for("postgres"), autocommit=True) as connection:
        # By files where that must be asked for: block by block through the WAL takes three times as long.
        by_files = "STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {by_files}")
    yield server.url_for(name)
    with psycopg.connect(server.url_for("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A fresh, migrated database."""
    yield from _new_database(postgres_server, "template_uniassist")


@pytest.fixture
def empty_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    yield from _new_database(postgres_server, "template0")


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """A flushed logical database of the session's server; FLUSHALL only on `own_redis`."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def migrated_cluster() -> Path:
    """The directory of a migrated Postgres that was stopped: to be copied, for making one takes a second of CPU.

    The first worker that wants it makes it for all.
    """
    shared = Path(os.environ[_SHARED])
    made = shared / "postgres"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            unfinished = shared / "postgres-unfinished"  # what a worker that died left is never taken for one
            shutil.rmtree(unfinished, ignore_errors=True)
            server = EmbeddedPostgres(unfinished, durable=False, programs=_POSTGRES)
            server.start()
            migrate.upgrade(server.url)
            server.stop()
            (unfinished / "postgres.log").unlink()
            unfinished.rename(made)
    return made


def _copied(cluster: Path, directory: Path) -> EmbeddedPostgres:
    subprocess.run(["cp", "-a", cluster, directory], check=True)
    return EmbeddedPostgres(directory, durable=False, programs=_POSTGRES)


@pytest.fixture
def own_postgres(server_directory: Path, migrated_cluster: Path) -> Iterator[EmbeddedPostgres]:
    """A migrated Postgres that the test may stop, kill and start. Its identity is that of all others made so."""
    directory = server_directory / f"postgres-{next(_numbers)}"
    server = _copied(migrated_cluster, directory)
    server.start()
    yield server
    server.process.kill()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def own_redis(server_directory: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may stop, kill, flush and start."""
    server = EmbeddedRedis(server_directory / f"redis-{next(_numbers)}", flavour=REDIS_FLAVOUR)
    server.start()
    yield server
    server.process.kill()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """`service("gateway", DATABASE_URL=…)` starts a real process on a free port; stopped after the test."""
    started: list[ServiceProcess] = []

    def start(name: str, **env: str) -> ServiceProcess:
        process = ServiceProcess(name, tmp_path / f"{name}-{len(started)}.log", env)
        started.append(process)
        process.start()
        return process

    yield start
    with ThreadPoolExecutor(max(1, len(started))) as threads:  # at once: each takes its time to drain
        list(threads.map(ServiceProcess.stop, started))
