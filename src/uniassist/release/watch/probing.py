"""Looks at services and servers from the outside, each within its deadline."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import Awaitable

from uniassist.errors import ServerFault
from uniassist.release.checks import outages
from uniassist.release.checks.health_words import checks_of, in_words
from uniassist.release.watch.triggers.samples import Attempt, Probe
from uniassist.web.calling.client import Answer, CallFailed, JsonClient

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
    checks = checks_of(body)
    revision = str(body.get("revision"))
    if answer.status == 200 and body["ok"] is True:
        return Probe(at, "ok", f"degraded: {in_words(checks)}" if body.get("degraded") else "", checks, revision)
    said = in_words(checks) or excerpt
    return Probe(at, "failed", f"not healthy ({answer.status}): {said}", checks, revision)


async def attempt_postgres(url: str, deadline_seconds: float) -> Attempt:
    """By writing, on a connection of its own: a kept one would not tell that new ones are refused."""
    return await _attempt("DATABASE_URL", outages.write_postgres(url), deadline_seconds)


async def attempt_redis(url: str, deadline_seconds: float) -> Attempt:
    """By writing: a full one answers a ping."""
    return await _attempt("REDIS_URL", outages.write_redis(url), deadline_seconds)


async def _attempt(name: str, work: Awaitable[None], deadline_seconds: float) -> Attempt:
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(deadline_seconds):
            await work
    except ServerFault as fault:
        if is_ours(fault):
            return Attempt(now(), None, f"{name}: {fault}")
        found = outages.of_fault(fault)
        if found is None or found.row.rollback_mends:
            # It answers: that it refuses this env set may be the release's own doing.
            return Attempt(now(), True, f"{name}: {fault}")
        return Attempt(now(), False, f"{name}: {fault}; {found.row.advice}", found.fault.state, found.is_certain)
    except TimeoutError:
        return Attempt(now(), False, f"{name}: no answer within {deadline_seconds:g} s")
    return Attempt(now(), True)
