"""The epoch of a Redis: which process with which data. Another epoch means that what was published may be gone.

A sentinel key vanishes with the data (FLUSHALL, a restart without persistence); the run id changes with each
restart and failover, also when an old copy of the data comes back. A global stream that was deleted ends an epoch
as well: the entries that nobody had confirmed went with it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from importlib.resources import files

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
    """The epoch as it is now; None when the data, or the global stream, is gone. Transport errors are raised."""
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.info("server")
        pipeline.get(sentinel_key(global_key))
        pipeline.exists(global_key)
        server, sentinel, streams = await pipeline.execute()
    if not streams or not isinstance(sentinel, bytes):
        return None
    return Epoch(sentinel.decode(), str(server["run_id"]))


async def begin(redis: Redis, global_key: str, *, group: str) -> Epoch:
    """Make sure that there is an epoch, whoever makes it, and return it."""
    source = files("uniassist.streams").joinpath("begin.lua").read_text("utf-8")
    keys = (sentinel_key(global_key), global_key)
    await redis.register_script(source)(keys=keys, args=(secrets.token_hex(8), group))
    found = await read(redis, global_key)
    if found is None:  # lost again in between
        raise ConnectionError("Redis lost its data while an epoch was begun")
    return found
