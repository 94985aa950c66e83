"""A whole system for the length of a check: started with `uniassist up --detach`, stopped and removed after it.

Given a Postgres or a Redis it uses those, in a database of its own and under stream names of its own, so that it
neither takes events from a worker that runs there nor gives it any.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis

from uniassist.devstack.server import free_port
from uniassist.errors import StartError

START_SECONDS = 60.0
STOP_SECONDS = 40.0


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
    directory = _directory()
    own_database = await _create_database(database_url, name) if database_url else None
    env = _environment(name, own_database, redis_url) | dict(extra or {})
    try:
        await _command(env, START_SECONDS, "up", "--detach", "--state-dir", str(directory))
        try:
            status = json.loads(await _command(env, 20.0, "status", "--json", "--state-dir", str(directory)))
            yield _described(status, env)
        finally:
            await asyncio.shield(_command(env, STOP_SECONDS, "down", "--state-dir", str(directory)))
    finally:
        if redis_url is not None:
            await _remove_streams(redis_url, env)
        if database_url is not None:
            await _drop_database(database_url, name)
        shutil.rmtree(directory, ignore_errors=True)


def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="uniassist-check-"))
    directory.chmod(0o755)  # the embedded Postgres may run as another user
    return directory


def _environment(name: str, database_url: str | None, redis_url: str | None) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    ports = ("GATEWAY_PORT", "ADAPTER_WECHAT_PORT", "WORKER_PORT", "PROVIDER_PLAN_PORT")
    env = kept | {port: str(free_port()) for port in ports}
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


def _described(status: dict[str, object], env: Mapping[str, str]) -> System:
    services = status["services"]
    assert isinstance(services, list)
    return System(
        urls={service["name"]: service["url"] for service in services if "url" in service},
        database_url=str(status["databaseUrl"]),
        redis_url=str(status["redisUrl"]),
        prefix=env["UNIASSIST_STREAM_PREFIX"],
        global_key=env["UNIASSIST_STREAM_GLOBAL_KEY"],
        group=env["UNIASSIST_STREAM_GROUP"],
        adapter_secret=env["UNIASSIST_ADAPTER_SECRET"],
        context_token=env["UNIASSIST_PROVIDER_CONTEXT_TOKEN"],
        wechat_token=env["WECHAT_TOKEN"],
        env=env,
    )


async def run_command(env: Mapping[str, str], deadline_seconds: float, *arguments: str) -> tuple[int, str, str]:
    """Our own executable as a process: its exit code, output and error output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "uniassist.cli.main",
        *arguments,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(deadline_seconds):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise StartError(f"uniassist {arguments[0]}: not done within {deadline_seconds:.0f} s") from None
    assert process.returncode is not None
    return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


async def _command(env: Mapping[str, str], deadline_seconds: float, *arguments: str) -> str:
    code, out, err = await run_command(env, deadline_seconds, *arguments)
    if code != 0:
        raise StartError(f"uniassist {' '.join(arguments[:2])} ended with {code}:\n{(err or out).strip()[-2000:]}")
    return out


async def _create_database(url: str, name: str) -> str:
    connection = await _connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    except asyncpg.InsufficientPrivilegeError:
        raise StartError(
            "DATABASE_URL: this check needs a database of its own and its user may not create one; "
            "grant it CREATEDB, or leave DATABASE_URL out to use an embedded Postgres"
        ) from None
    finally:
        await connection.close()
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def _drop_database(url: str, name: str) -> None:
    connection = await _connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=5.0, command_timeout=30.0)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise StartError(f"DATABASE_URL: can't connect: {error}") from None


async def _remove_streams(url: str, env: Mapping[str, str]) -> None:
    async with Redis.from_url(url, socket_timeout=5.0, socket_connect_timeout=2.0) as redis:
        keys = [key async for key in redis.scan_iter(match=f"{env['UNIASSIST_STREAM_PREFIX']}*", count=1000)]
        keys.append(f"uniassist-epoch:{env['UNIASSIST_STREAM_GLOBAL_KEY']}".encode())
        for at in range(0, len(keys), 500):
            await redis.delete(*keys[at : at + 500])
