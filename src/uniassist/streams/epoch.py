"""The epoch of a Redis: which process with which data. Another epoch means that what was published may be gone.

A sentinel key vanishes with the data (FLUSHALL, a restart without persistence). It names the process (its run id,
new with each restart) and the history of the data (the replication id, new with each promotion, so that a primary
that was demoted and promoted again isn't what it was). A global stream that was deleted ends an epoch as well: the
entries that nobody had confirmed went with it. Names have a rising number, and Postgres knows the last one, so none
comes back. They name the database as well: two systems that take the same names on one Redis would confirm each
other's events, so the stream is the first one's, and the other is a stranger.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from importlib.resources import files

from redis.asyncio import Redis

# A stranger leaves word each second that it runs, and once where it is refused at its start.
STRANGER_SECONDS = 60


@dataclass(frozen=True)
class Epoch:
    """The sentinel as it was found, and what the server said of itself in the same moment.

    `stranger`: another database that wanted this stream within the last minute.
    """

    sentinel: str
    run_id: str
    history: str
    stranger: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """`<number>.<random>.<database>`: what rows and entries carry. Names sort by age."""
        return self.sentinel.partition(":")[0]

    @property
    def database(self) -> str:
        """Whose it is; empty when a worker began it that knew of none."""
        return database_of(self.name)

    @property
    def holds(self) -> bool:
        """Whether it is this server's: else another one has to begin."""
        return self.sentinel == f"{self.name}:{self.run_id}:{self.history}"


class StreamTaken(Exception):
    """The stream is another database's."""

    def __init__(self, global_key: str, *, owner: str, stranger: str) -> None:
        super().__init__(
            f"the stream {global_key} on this Redis belongs to the database {owner}, and the database {stranger} "
            f"asks for it too: give one of the two systems a UNIASSIST_STREAM_PREFIX of its own, or, if {stranger} "
            f"takes the place of {owner} for good, delete the key {sentinel_key(global_key)} once"
        )


def database_of(name: str) -> str:
    """Of an epoch's name; empty when it says none."""
    parts = name.split(".", 2)
    return parts[2] if len(parts) > 2 else ""


def sentinel_key(global_key: str) -> str:
    """Not under the prefix of the session streams, where a session could have any name."""
    return f"uniassist-epoch:{global_key}"


def _stranger_key(global_key: str) -> str:
    return f"{sentinel_key(global_key)}:stranger"


async def read(redis: Redis, global_key: str) -> Epoch | None:
    """The epoch as it is now; None when the data, or the global stream, is gone. Transport errors are raised."""
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.info("server")
        pipeline.info("replication")
        pipeline.get(sentinel_key(global_key))
        pipeline.exists(global_key)
        pipeline.get(_stranger_key(global_key))
        server, replication, sentinel, streams, stranger = await pipeline.execute()
    if not streams or not isinstance(sentinel, bytes):
        return None
    knocked = stranger.decode("utf-8", "replace") if isinstance(stranger, bytes) else None
    return Epoch(sentinel.decode(), str(server["run_id"]), str(replication["master_replid"]), knocked)


async def owner(redis: Redis, global_key: str) -> str:
    """The database whose stream it is, also while no epoch holds; empty when nobody's."""
    sentinel = await redis.get(sentinel_key(global_key))
    return database_of(sentinel.decode().partition(":")[0]) if isinstance(sentinel, bytes) else ""


async def knock(redis: Redis, global_key: str, *, stranger: str) -> None:
    """Leave word for the owner that another database wants its stream."""
    await redis.set(_stranger_key(global_key), stranger, ex=STRANGER_SECONDS)


async def begin(
    redis: Redis, global_key: str, *, group: str, known: str | None = None, database: str = ""
) -> Epoch:
    """Make sure that there is an epoch, whoever makes it, and return it. StreamTaken when it is another database's.

    `known`: the name of the last one that Postgres has seen; an older one doesn't hold any more.
    `database`: the caller's; empty takes whatever epoch there is.
    """
    source = files("uniassist.streams").joinpath("begin.lua").read_text("utf-8")
    keys = (sentinel_key(global_key), global_key)
    arguments = (group, secrets.token_hex(4), known or "", database)
    sentinel: bytes = await redis.register_script(source)(keys=keys, args=arguments)
    theirs = database_of(sentinel.decode().partition(":")[0])
    if database and theirs != database:
        raise StreamTaken(global_key, owner=theirs, stranger=database)
    found = await read(redis, global_key)
    if found is None or not found.holds:  # over again in between
        raise ConnectionError("Redis lost its data, or changed, while an epoch was begun")
    return found
