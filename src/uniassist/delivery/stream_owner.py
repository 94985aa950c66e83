"""Whose the global stream is. Two systems of the same names on one Redis would confirm each other's events unseen.

The epoch names the database. A worker reads, claims and trims nothing while the stream is another database's, and
begins no epoch there, so its events stay pending in Postgres and the other's stay theirs. Both say so in /health.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from uniassist.errors import ServerFault
from uniassist.lifecycle import Loop
from uniassist.store.server import identity
from uniassist.store.server.pool import Pool
from uniassist.streams import epoch as epochs
from uniassist.streams.client import Redis
from uniassist.streams.epoch import Epoch, StreamTaken

log = structlog.get_logger()

ASK_SECONDS = 60.0


class StreamOwner:
    """What this worker's database is, and whether the stream is that database's, as last seen."""

    def __init__(self, pool: Pool, redis: Redis, *, global_key: str) -> None:
        self._pool = pool
        self._redis = redis
        self._global_key = global_key
        self._database: str | None = None
        self._taken: StreamTaken | None = None
        self._stranger: str | None = None
        self._ours = asyncio.Event()
        self.loop = Loop("identity", self._ask_once)

    async def database(self) -> str:
        """This worker's. ServerFault when it isn't known yet and Postgres doesn't answer."""
        return self._database or await self._ask()

    async def until_ours(self) -> None:
        """Until the stream was last seen as ours, or as nobody's."""
        await self._ours.wait()

    @property
    def is_ours(self) -> bool:
        return self._ours.is_set()

    async def look(self) -> bool:
        """Ask Redis now; True when the stream is ours or nobody's, which the database has to be known for."""
        if self._database is None:
            return False
        await self._saw(await epochs.owner(self._redis, self._global_key), stranger=self._stranger)
        return self._ours.is_set()

    async def saw_epoch(self, found: Epoch | None) -> None:
        """What the probe found. Without a stream the sentinel still says whose the next one is."""
        was_ours = self._taken is None
        if found is None:
            await self.look()
        else:
            await self._saw(found.database, stranger=found.stranger)
        if was_ours and self._taken is not None:
            log.error("the stream was taken by another system", reason=str(self._taken))

    async def _saw(self, owner: str, *, stranger: str | None) -> None:
        ours = self._database
        if ours is None:
            return
        self._stranger = stranger if stranger != ours else None
        if owner in ("", ours):
            self._taken = None
            self._ours.set()
            return
        self._ours.clear()
        if self._taken is None:
            self._taken = StreamTaken(self._global_key, owner=owner, stranger=ours)
        with contextlib.suppress(ServerFault):  # a full Redis: this side says it all the same
            await epochs.knock(self._redis, self._global_key, stranger=ours)

    def is_foreign(self, epoch: str) -> bool:
        """Whether an entry's epoch is another database's."""
        database = epochs.database_of(epoch)
        return bool(database) and database != self._database

    def check_ours(self) -> None:
        """StreamTaken, with both sides, while the stream is another database's."""
        if self._taken is not None:
            raise self._taken

    def check_alone(self) -> None:
        """StreamTaken, with both sides, while another database wants this one's stream."""
        if self._stranger is not None and self._taken is None:
            raise StreamTaken(self._global_key, owner=self._database or "", stranger=self._stranger)

    async def _ask_once(self) -> float:
        await self._ask()
        return ASK_SECONDS

    async def _ask(self) -> str:
        found = await identity.of_database(self._pool)
        if self._database not in (None, found):
            log.warning("DATABASE_URL leads to another database now", before=self._database, now=found)
        self._database = found
        return found
