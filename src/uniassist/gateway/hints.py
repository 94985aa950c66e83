"""Hints to workers and other gateways: which sessions moved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice

import structlog

from uniassist.errors import ServerFault
from uniassist.streams import wake
from uniassist.streams.client import Redis

log = structlog.get_logger()

DEADLINE_SECONDS = 1.0
RETRY_SECONDS = 0.5
MAX_SESSIONS = 500  # in one hint
MAX_KEPT = 10_000  # while Redis is away; its readers then look by themselves


class Hints:
    """Sends one hint at a time; what moves meanwhile goes with the next. Keeps what it can't send, to a bound."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._moved: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def give(self, moved: Mapping[str, int]) -> None:
        """Send that these sessions moved. `moved`: session → its newest seq."""
        if len(self._moved) < MAX_KEPT:
            self._moved.update(moved)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._publish(), name="hints")

    async def stop(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task], timeout=DEADLINE_SECONDS)
            self._task.cancel()

    async def _publish(self) -> None:
        while self._moved:  # ends: all is sent, or `stop`
            hint = dict(islice(self._moved.items(), MAX_SESSIONS))
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await wake.publish(self._redis, self._prefix, hint)
            except (ServerFault, TimeoutError) as error:
                log.debug("no hint", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for session_id, seq in hint.items():
                if self._moved.get(session_id) == seq:
                    del self._moved[session_id]
