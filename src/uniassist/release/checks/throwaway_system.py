"""A whole system for the length of a check: `uniassist up` as a child, stopped and removed after it.

Given a Postgres or a Redis it uses those, in a database (or, where none may be created, a schema) of its own and
under stream names of its own, so that it neither takes events from a worker that runs there nor gives it any.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from uniassist.devstack.server import ServerProcess, free_port
from uniassist.devstack.state import RunState
from uniassist.errors import StartError
from uniassist.release.checks.system import System
from uniassist.release.interrupts import to_the_end
from uniassist.release.subprocesses import inherited, uniassist
from uniassist.settings import Reader
from uniassist.settings.known_services import SERVICES
from uniassist.store import aside
from uniassist.streams.client import Redis
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane

START_SECONDS = 90.0
STOP_SECONDS = 40.0


@asynccontextmanager
async def system(
    *, database_url: str | None = None, redis_url: str | None = None, extra: Mapping[str, str] | None = None
) -> AsyncIterator[System]:
    """StartError with the reason when it doesn't start. Everything of it is gone afterwards, also after Ctrl-C."""
    name = f"uniassist_check_{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:
        directory = _directory()
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        own = None
        if database_url is not None:
            stack.push_async_callback(to_the_end, aside.drop, database_url, name)
            own = await aside.create(database_url, name)
        if redis_url is not None:
            await _check_redis(redis_url)
            stack.push_async_callback(to_the_end, remove_keys, redis_url, name)
        env = _environment(name, own, redis_url) | dict(extra or {})
        process = ServerProcess("uniassist up", directory / "up.log")
        stack.push_async_callback(to_the_end, _stop, process)
        process.spawn(uniassist("up", "--state-dir", str(directory)), env=env, death_signal=signal.SIGTERM)
        yield _described(await _ready(process, directory), env)


async def remove_keys(url: str, pattern: str) -> int:
    """Delete every key whose name holds `pattern` (Redis's globs); returns how many there were."""

    async def remove(redis: Redis, lane: Lane) -> int:
        removed = 0
        found = [key async for key in redis.scan_iter(match=f"*{pattern}*", count=1000)]
        keys = [key for key in found if lane.has(key.decode("utf-8", "replace"))]
        for at in range(0, len(keys), 500):
            removed += await redis.delete(*keys[at : at + 500])
        return removed

    async with LaneClients.to_look(url) as clients:
        return sum(await clients.each(remove))


@asynccontextmanager
async def system_beside(environ: Mapping[str, str], say: Callable[[str], None]) -> AsyncIterator[System]:
    """On the Postgres and the Redis of the environment, aside from all that is there; else on embedded ones."""
    reader = Reader(environ)
    database_url = reader.database_url().reveal() if reader.optional("DATABASE_URL") else None
    redis_url = reader.redis_url().reveal() if reader.optional("REDIS_URL") else None
    where = [
        f"{name} {'given, aside from what is there' if url else 'embedded'}"
        for name, url in (("Postgres", database_url), ("Redis", redis_url))
    ]
    say(f"starting a system of its own ({'; '.join(where)})…")
    async with system(database_url=database_url, redis_url=redis_url) as running:
        yield running
        say("stopping and removing it…")


def literally(text: str) -> str:
    """As a part of a pattern."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)


def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="uniassist-check-"))
    directory.chmod(0o755)  # the embedded Postgres may run as another user
    return directory


def _environment(name: str, database_url: str | None, redis_url: str | None) -> dict[str, str]:
    env = inherited() | {each.port_variable: str(free_port()) for each in SERVICES}
    env |= {
        "UNIASSIST_ENV": "test",
        "UNIASSIST_ADAPTER_SECRET": secrets.token_urlsafe(24),
        "UNIASSIST_PROVIDER_CONTEXT_TOKEN": secrets.token_urlsafe(24),
        "WECHAT_TOKEN": secrets.token_hex(8),
        "UNIASSIST_STREAM_PREFIX": f"{name}:timeline:",
        "UNIASSIST_STREAM_GLOBAL_KEY": f"{name}:timeline:all",
        "UNIASSIST_STREAM_GROUP": f"{name}-delivery",
        "OUTBOX_BACKOFF_BASE_MS": "100",
    }
    if database_url is not None:
        env["DATABASE_URL"] = database_url
    if redis_url is not None:
        env["REDIS_URL"] = redis_url
    return env


async def _stop(process: ServerProcess) -> None:
    await asyncio.to_thread(process.stop, signal.SIGTERM, STOP_SECONDS)


async def _ready(process: ServerProcess, directory: Path) -> RunState:
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:  # ends: ready, or the process ended, or the deadline
                if not process.running:
                    raise StartError(f"the system didn't start:\n{process.last_lines()}")
                # Not by the state directory's lock: looking at that takes it for a moment, from `up` itself.
                state = _state(directory / "state.json")
                if state is not None and state.ready:
                    return state
                await asyncio.sleep(0.05)  # it is another process: only its state file tells
    except TimeoutError:
        raise StartError(f"the system was not ready in {START_SECONDS:.0f} s:\n{process.last_lines()}") from None


def _state(path: Path) -> RunState | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunState)
    except (OSError, msgspec.DecodeError):
        return None


def _described(state: RunState, env: Mapping[str, str]) -> System:
    return System(
        urls={service.name: service.url for service in state.services},
        database_url=state.database_url,
        redis_url=state.redis_url,
        prefix=env["UNIASSIST_STREAM_PREFIX"],
        global_key=env["UNIASSIST_STREAM_GLOBAL_KEY"],
        group=env["UNIASSIST_STREAM_GROUP"],
        adapter_secret=env["UNIASSIST_ADAPTER_SECRET"],
        context_token=env["UNIASSIST_PROVIDER_CONTEXT_TOKEN"],
        wechat_token=env["WECHAT_TOKEN"],
        env=env,
    )


async def _check_redis(url: str) -> None:
    async with LaneClients.to_look(url) as clients:
        await clients.each(lambda redis, _lane: redis.ping())
