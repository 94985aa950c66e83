"""The hint that new outbox rows are committed. It may be lost: the worker's poll is the backstop."""

from __future__ import annotations

from redis.asyncio import Redis


def channel(prefix: str) -> str:
    return f"{prefix}wake"


async def publish(redis: Redis, prefix: str) -> None:
    """Call after the commit, never inside the transaction."""
    await redis.publish(channel(prefix), b"1")
