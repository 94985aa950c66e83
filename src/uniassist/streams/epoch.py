"""The epoch of a Redis: which process with which data. Another epoch means that what was published may be gone.

A sentinel key vanishes with the data (FLUSHALL, a restart without persistence); the run id changes with each
restart and failover, also when an old copy of the data comes back.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from redis.asyncio import Redis


@dataclass(frozen=True)
class Epoch:
    sentinel: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.sentinel}:{self.run_id}"


def sentinel_key(global_key: str) -> str:
    """Not under the prefix of the session streams, where a session could have any name."""
    return f"uniassist-epoch:{global_key}"


async def read(redis: Redis, global_key: str) -> Epoch | None:
    """The epoch as it is now; None when the data (with the sentinel) is gone. Transport errors are raised."""
    server = await redis.info("server")
    sentinel = await redis.get(sentinel_key(global_key))
    return Epoch(sentinel.decode(), str(server["run_id"])) if isinstance(sentinel, bytes) else None


async def begin(redis: Redis, global_key: str) -> Epoch:
    """Make sure that there is an epoch, whoever makes it, and return it."""
    await redis.set(sentinel_key(global_key), secrets.token_hex(8), nx=True)
    found = await read(redis, global_key)
    if found is None:  # lost again in between
        raise ConnectionError("Redis lost its data while an epoch was begun")
    return found
