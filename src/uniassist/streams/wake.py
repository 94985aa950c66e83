"""Hints that rows were committed, and which sessions moved. They may be lost: listeners also look unasked.

Workers hear one channel. A session has a channel of its own, so that a gateway hears only what its readers follow;
there the worker says it again, when it publishes the event.
"""

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


def moved_prefix(prefix: str) -> str:
    """Of the channels of sessions; the session's id follows. What is said there is the newest seq, or nothing; or,
    among gateways, text that is being written (`gateway/live`).
    """
    return f"{prefix}moved:"


async def publish(redis: Redis, prefix: str, moved: Mapping[str, int]) -> None:
    """`moved`: session → its newest seq. Call after the commit, never inside the transaction."""
    of_sessions = moved_prefix(prefix)
    async with redis.pipeline(transaction=False) as hints:
        # Which sessions: for workers with lanes, and gateways of the release before, that hear this channel.
        hints.publish(channel(prefix), codec.encode(moved))
        for session_id, seq in moved.items():
            hints.publish(of_sessions + session_id, seq)
        await hints.execute()


def moved_in(hint: bytes) -> dict[str, int]:
    """The sessions of a hint to workers; none when it doesn't say (an operator's)."""
    try:
        return msgspec.json.decode(hint, type=dict[str, int])
    except msgspec.MsgspecError:
        return {}


class Listener:
    """Calls `on_hint` for each hint, and with None when listening begins: what was hinted before is unheard."""

    def __init__(self, redis: Redis, prefix: str, on_hint: Callable[[bytes | None], None]) -> None:
        self._redis = redis
        self._channel = channel(prefix)
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
