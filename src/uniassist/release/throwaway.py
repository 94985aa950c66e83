"""A whole system for the length of a check: `uniassist up` as a child, stopped and removed after it.

Given a Postgres or a Redis it uses those, in a database (or, where none may be created, a schema) of its own and
under stream names of its own, so that it neither takes events from a worker that runs there nor gives it any.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from uniassist.devstack.server import ServerProcess, free_port
from uniassist.devstack.state import RunState
from uniassist.errors import StartError
from uniassist.release.interrupts import to_the_end
from uniassist.store import aside

START_SECONDS = 90.0
STOP_SECONDS = 40.0
# What a child needs of our own environment; settings are never passed on by accident.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "PYTHONPATH")


@dataclass(frozen=True)
class System:
    """A running system: where it is and what opens it."""

    urls: Mapping[str, str]
    database_url: str
    redis_url: str
    prefix: str
    global_key: str
    group: str
    adapter_secret: str
    context_token: str
    wechat_token: str
    env: Mapping[str, str]


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
        command = [sys.executable, "-m", "uniassist.cli.main", "up", "--state-dir", str(directory)]
        process.spawn(command, env=env, death_signal=signal.SIGTERM)
        yield _described(await _ready(process, directory), env)


def inherited() -> dict[str, str]:
    """The part of our environment that any child gets."""
    return {key: os.environ[key] for key in _INHERITED if key in os.environ}


async def run_command(env: Mapping[str, str], deadline_seconds: float, *arguments: str) -> tuple[int, str, str]:
    """Our own executable as a process: its exit code, output and error output. It ends with us."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "uniassist.cli.main",
        *arguments,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is ours to answer
    )
    try:
        async with asyncio.timeout(deadline_seconds):
            out, err = await process.communicate()
    except TimeoutError:
        raise StartError(f"uniassist {arguments[0]}: not done within {deadline_seconds:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


async def remove_keys(url: str, pattern: str) -> int:
    """Delete every key whose name holds `pattern` (Redis's globs); returns how many there were."""
    removed = 0
    async with Redis.from_url(url, socket_timeout=5.0, socket_connect_timeout=2.0) as redis:
        keys = [key async for key in redis.scan_iter(match=f"*{pattern}*", count=1000)]
        for at in range(0, len(keys), 500):
            removed += await redis.delete(*keys[at : at + 500])
    return removed


def literally(text: str) -> str:
    """As a part of a pattern."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)


def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="uniassist-check-"))
    directory.chmod(0o755)  # the embedded Postgres may run as another user
    return directory


def _environment(name: str, database_url: str | None, redis_url: str | None) -> dict[str, str]:
    ports = ("GATEWAY_PORT", "ADAPTER_WECHAT_PORT", "WORKER_PORT", "PROVIDER_PLAN_PORT")
    env = inherited() | {port: str(free_port()) for port in ports}
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
                await asyncio.sleep(0.05)
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
    try:
        async with Redis.from_url(url, socket_timeout=5.0, socket_connect_timeout=2.0) as redis:
            await redis.ping()
    except (RedisError, OSError) as error:
        raise StartError(f"REDIS_URL: can't connect: {error}") from None
