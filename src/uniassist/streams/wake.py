"""The hint that new outbox rows are committed. It may be lost: the worker's beat is the backstop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

LISTEN_SECONDS = 20.0


def channel(prefix: str) -> str:
    return f"{prefix}wake"


async def publish(redis: Redis, prefix: str) -> None:
    """Call after the commit, never inside the transaction."""
    await redis.publish(channel(prefix), b"1")


class Listener:
    """Calls `on_hint` for each hint that arrives."""

    def __init__(self, redis: Redis, prefix: str, on_hint: Callable[[], None]) -> None:
        self._redis = redis
        self._channel = channel(prefix)
        self._on_hint = on_hint
        self._subscription: PubSub | None = None

    async def listen_once(self) -> float:
        """Wait for one message, or some seconds. A broken connection is given up; the next call makes another."""
        try:
            if self._subscription is None:
                self._subscription = self._redis.pubsub(ignore_subscribe_messages=True)
                await self._subscription.subscribe(self._channel)
            if await self._subscription.get_message(timeout=LISTEN_SECONDS) is not None:
                self._on_hint()
        except (RedisError, OSError):
            await self.close()
            raise
        return 0.0

    async def close(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(RedisError, OSError):
                await subscription.aclose()  # type: ignore[no-untyped-call]
