"""Proof that Redis takes our writes: answering isn't enough, since replicas and full servers answer as well."""

from __future__ import annotations

import asyncio
import contextlib

from uniassist.errors import Away, Full, ServerFault
from uniassist.streams.client import Redis

KEY = "uniassist-proof"
EXPIRY_SECONDS = 60
PROOF_DEADLINE_SECONDS = 0.8


async def prove_writing(redis: Redis, key: str = KEY) -> None:
    """One key written, which expires. A ServerFault says why nothing can be written."""
    try:
        async with asyncio.timeout(PROOF_DEADLINE_SECONDS):
            await _write(redis, key)
    except TimeoutError:
        raise Away("redis", "no answer in time") from None


async def _write(redis: Redis, key: str) -> None:
    try:
        await redis.set(key, b"", ex=EXPIRY_SECONDS)
    except Full as fault:
        raise Full("redis", f"{fault.reason}{await _policy(redis)}", said=fault.said) from fault


async def _policy(redis: Redis) -> str:
    """What it does when its memory is full; nothing where it doesn't tell."""
    with contextlib.suppress(ServerFault):
        policy = (await redis.info("memory")).get("maxmemory_policy")
        return f", {policy}" if policy else ""
    return ""
