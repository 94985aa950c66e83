"""The stage of a benchmark: durable embedded servers of its own, and our services as processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import psycopg
from redis import Redis

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.devstack.server import ServerProcess, free_port
from uniassist.devstack.supervisor import answers
from uniassist.store import migrate

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class Stage:
    """Postgres with fsync on, a Redis, and a directory that goes when the benchmark ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.postgres = EmbeddedPostgres(directory / "postgres", durable=True)
        self.redis = EmbeddedRedis(directory / "redis")
        self._services: list[ServerProcess] = []

    def fresh_database(self, name: str, *, migrated: bool = True) -> str:
        """With an empty Redis, unless it is a peer's: streams that belong to another database are refused."""
        with psycopg.connect(self.postgres.url_for("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
        url = self.postgres.url_for(name)
        if migrated:
            with ThreadPoolExecutor(1) as aside:  # it has an event loop of its own
                aside.submit(migrate.upgrade, url).result()
            self.flush()
        return url

    def flush(self) -> None:
        """An empty Redis."""
        with Redis.from_url(self.redis.url) as redis:
            redis.flushall()

    def statements_logged(self) -> int:
        """In the server's log until now; only sessions with `log_statement` write any."""
        text = (self.postgres.directory / "postgres.log").read_text("utf-8", "replace")
        return text.count("LOG:  execute ") + text.count("LOG:  statement: ")

    def start(self, service: str, database_url: str, **settings: str) -> tuple[ServerProcess, str]:
        """A service of ours, ready. Returns it with its URL."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        process = ServerProcess(service, self.directory / f"{service}-{port}.log")
        env = self.inherited | {
            "UNIASSIST_ENV": "test",
            "UNIASSIST_LOG_LEVEL": "warning",
            "PORT": str(port),
            "DATABASE_URL": database_url,
            "REDIS_URL": self.redis.url,
            "UNIASSIST_ADAPTER_SECRET": "bench-secret-0123456789",
            "UNIASSIST_PROVIDER_CONTEXT_TOKEN": "bench-token-0123456789",
            "WECHAT_TOKEN": "bench",
            **settings,
        }
        process.spawn([sys.executable, "-m", "uniassist.cli.main", service], env=env)
        process.wait_ready(lambda: answers(f"{url}/health"))
        self._services.append(process)
        return process, url

    @property
    def inherited(self) -> dict[str, str]:
        """What of this process's environment others need."""
        return {name: os.environ[name] for name in _KEPT if name in os.environ}

    def keep(self, process: ServerProcess) -> None:
        """Stopped with the services."""
        self._services.append(process)

    def stop_services(self) -> None:
        for process in self._services:
            process.stop()
        self._services.clear()


@contextmanager
def stage() -> Iterator[Stage]:
    directory = Path(tempfile.mkdtemp(prefix="uniassist-bench-"))
    directory.chmod(0o755)
    built = Stage(directory)
    try:
        built.postgres.start()
        built.redis.start()
        yield built
    finally:
        built.stop_services()
        built.redis.process.kill()
        built.postgres.process.kill()
        shutil.rmtree(directory, ignore_errors=True)


async def until(
    condition: Callable[[], Awaitable[bool]], deadline_seconds: float, *, every_seconds: float = 0.05
) -> float:
    """Seconds until the condition held. TimeoutError after the deadline."""
    began = time.monotonic()
    async with asyncio.timeout(deadline_seconds):
        while not await condition():
            await asyncio.sleep(every_seconds)
    return time.monotonic() - began


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url)


def cpu_seconds(process: ServerProcess) -> float:
    assert process.pid is not None
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def cpu_ms(pid: int | None) -> float:
    """Of a process, its children, and those of them that ended."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children():
        try:
            child_times = child.cpu_times()
        except psutil.NoSuchProcess:  # it is among those that ended, the next time
            continue
        total += child_times.user + child_times.system
    return float(total * 1000)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
