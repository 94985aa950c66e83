"""Looks at services and servers from the outside, each within its deadline."""

from __future__ import annotations

import asyncio
import errno
import json
import socket

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from uniassist.release.watch.samples import Attempt, Probe
from uniassist.store import release as store
from uniassist.web.client import Answer, CallFailed, JsonClient

# These are ours: this host's network, its name service, its file descriptors.
_OWN_ERRORS = frozenset(
    {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS}
)
_EXCERPT_CHARACTERS = 160


async def probe(client: JsonClient, service: str, url: str, deadline_seconds: float) -> Probe:
    """GET /health once. Ok: 200, from that service, and healthy; degraded is healthy."""
    now = asyncio.get_running_loop().time
    try:
        answer = await client.request("GET", f"{url}/health", timeout_seconds=deadline_seconds)
    except CallFailed as error:
        return Probe(now(), "unknown" if is_ours(error) else "failed", str(error))
    return _read(now(), service, answer)


def is_ours(error: BaseException) -> bool:
    """Whether a look failed for reasons of this host, so that it says nothing of the other side."""
    found: BaseException | None = error
    while found is not None:  # ends: with the chain of causes
        found = getattr(found, "os_error", found)
        if isinstance(found, socket.gaierror):
            return found.errno == socket.EAI_AGAIN
        if isinstance(found, OSError) and found.errno in _OWN_ERRORS:
            return True
        found = found.__cause__ if found is not None else None
    return False


def _read(at: float, service: str, answer: Answer) -> Probe:
    excerpt = answer.body[:_EXCERPT_CHARACTERS].decode("utf-8", "replace")
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or "ok" not in body:
        return Probe(at, "failed", f"answered {answer.status} and no health: {excerpt!r}")
    if body.get("service") != service:
        return Probe(at, "failed", f"{body.get('service')!r} answers at its URL")
    named = body.get("checks")
    checks = {str(name): str(state) for name, state in named.items()} if isinstance(named, dict) else {}
    revision = str(body.get("revision"))
    if answer.status == 200 and body["ok"] is True:
        return Probe(at, "ok", "degraded" if body.get("degraded") else "", checks, revision)
    failing = ", ".join(name for name, state in checks.items() if state != "ok") or excerpt
    return Probe(at, "failed", f"not healthy ({answer.status}): {failing}", checks, revision)


async def attempt_postgres(url: str, deadline_seconds: float) -> Attempt:
    """A connection of its own and one statement: a kept connection would not tell that new ones are refused."""
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(deadline_seconds):
            connection = await asyncpg.connect(url)
            try:
                await store.server(connection)
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:  # a TimeoutError is an OSError
        return Attempt(now(), None if is_ours(error) else False, _reason("DATABASE_URL", error, deadline_seconds))
    return Attempt(now(), True)


async def attempt_redis(url: str, deadline_seconds: float) -> Attempt:
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(deadline_seconds), Redis.from_url(url) as redis:
            await redis.ping()
    except (OSError, RedisError) as error:
        return Attempt(now(), None if is_ours(error) else False, _reason("REDIS_URL", error, deadline_seconds))
    return Attempt(now(), True)


def _reason(name: str, error: Exception, deadline_seconds: float) -> str:
    return f"{name}: {error}" if str(error) else f"{name}: no answer within {deadline_seconds:g} s"
