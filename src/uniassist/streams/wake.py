"""The hint that rows were committed, with the sessions that moved. It may be lost: listeners also look unasked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import msgspec

from uniassist.contracts import codec
from uniassist.errors import ServerFault
from uniassist.streams.client import PubSub, Redis

LISTEN_SECONDS = 20.0


def channel(prefix: str) -> str:
    return f"{prefix}wake"


async def publish(redis: Redis, prefix: str, moved: Mapping[str, int]) -> None:
    """`moved`: session → its newest seq. Call after the commit, never inside the transaction."""
    await redis.publish(channel(prefix), codec.encode(moved))


def moved_in(hint: bytes) -> dict[str, int]:
    """The sessions of a hint; none when it doesn't say (an older gateway's, an operator's)."""
    try:
        return msgspec.json.decode(hint, type=dict[str, int])
    except msgspec.MsgspecError:
        return {}


class Listener:
    """Calls `on_hint` for each hint, and with None when listening begins: what was hinted before is unheard.

    `name`: of another channel under the prefix.
    """

    def __init__(
        self, redis: Redis, prefix: str, on_hint: Callable[[bytes | None], None], *, name: str = "wake"
    ) -> None:
        self._redis = redis
        self._channel = f"{prefix}{name}"
        self._on_hint = on_hint
        self._subscription: PubSub | None = None

    async def listen_once(self) -> float:
        """Wait for one message, or some seconds. A broken connection is given up; the next call makes another."""
        try:
            if self._subscription is None:
                self._subscription = self._redis.pubsub()
                await self._subscription.subscribe(self._channel)
            message = await self._subscription.get_message(timeout=LISTEN_SECONDS)
            if message is not None:
                self._on_hint(message["data"] if message["type"] == "message" else None)
        except ServerFault:
            await self.close()
            raise
        return 0.0

    async def close(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(ServerFault):
                await subscription.aclose()
