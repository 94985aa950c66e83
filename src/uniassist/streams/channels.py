"""One connection that hears many channels of Redis, and whose channels change while it listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from redis.asyncio.connection import AbstractConnection, ConnectionPool

from uniassist.errors import Away, Cut, ServerFault
from uniassist.streams.client import Redis
from uniassist.streams.outage import RedisEdge

ASKED_AT_ONCE = 500  # names in one command
PING_SECONDS = 1.0  # of silence
_MESSAGES_IN_A_ROW = 50  # whatever has come already; then it's the turn of others
# The driver's own has no types.
_connection_of: Callable[[ConnectionPool], Awaitable[AbstractConnection]] = ConnectionPool.get_connection


class Channels:
    """Hears the channels under `prefix` that are followed. Which these are, may be said at any time.

    The driver's own way of listening takes several times as long for a message, and doesn't tell a silent server
    from a dead one.

    `on_message`: called with a channel's name and what was said. `on_followed`: with names of which what is said
    from now on is heard, and nothing before.
    """

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        *,
        on_message: Callable[[str, bytes], None],
        on_followed: Callable[[Iterable[str]], None],
    ) -> None:
        self._redis = redis
        self._prefix = prefix.encode()
        self._on_message, self._on_followed = on_message, on_followed
        self._wanted: dict[str, None] = {}
        self._asked: set[str] = set()  # of this connection
        self._changed: dict[str, None] = {}
        self._connection: AbstractConnection | None = None
        self._waits_for_answer = False
        self.heard_at = float("-inf")  # the loop's time

    def follow(self, name: str) -> None:
        self._wanted[name] = None
        self._note(name)

    def leave(self, name: str) -> None:
        self._wanted.pop(name, None)
        self._note(name)

    def hears(self, name: str) -> bool:
        """It is asked for, of the connection that there is; what is said on it from now on is heard, or soon."""
        return self._connection is not None and name in self._asked

    def _note(self, name: str) -> None:
        """Without a connection nothing is kept: whoever connects asks for all, and an outage may last."""
        if self._connection is not None:
            self._changed[name] = None

    async def ask_once(self) -> bool:
        """Ask for what has changed, up to a bound. Says whether there is more."""
        connection = self._connection
        # One that is cut would be connected again by what is sent on it.
        if connection is None or not connection.is_connected:
            return False
        some = list(islice(self._changed, ASKED_AT_ONCE))
        new = [name for name in some if name in self._wanted and name not in self._asked]
        gone = [name for name in some if name not in self._wanted and name in self._asked]
        for name in some:
            del self._changed[name]
        self._asked.update(new)
        self._asked.difference_update(gone)
        asked = [
            (command, *(self._prefix + name.encode("utf-8", "surrogatepass") for name in names))
            for command, names in ((b"SUBSCRIBE", new), (b"UNSUBSCRIBE", gone))
            if names
        ]
        if asked:
            with RedisEdge(("SUBSCRIBE", self._prefix)):
                await connection.send_packed_command(connection.pack_commands(asked), check_health=False)
        return bool(self._changed)

    async def listen_once(self) -> None:
        """Hear what comes, or nothing for a second. After a failure the next call makes another connection."""
        try:
            if self._connection is None:
                await self._connect()
            await self._hear()
        except ServerFault:
            await self.close()
            raise

    async def _connect(self) -> None:
        with RedisEdge(("SUBSCRIBE", self._prefix)):
            self._connection = await _connection_of(self._redis.connection_pool)
            self._asked.clear()
            self._changed = dict.fromkeys(self._wanted)
            self._waits_for_answer = False
        while await self.ask_once():
            pass

    async def _hear(self) -> None:
        connection = self._connection
        assert connection is not None, "connected"
        with RedisEdge(("SUBSCRIBE", self._prefix)):
            for _ in range(_MESSAGES_IN_A_ROW):
                answer = await connection.read_response(timeout=PING_SECONDS, push_request=True)
                if answer is None:
                    if self._waits_for_answer:
                        raise Away("redis", "no answer in time")
                    if not connection.is_connected:  # cut meanwhile: a new one would answer, and hear of nothing
                        raise Cut("redis", "the connection broke")
                    self._waits_for_answer = True
                    await connection.send_command("PING")
                    return
                self.heard_at = asyncio.get_running_loop().time()
                self._waits_for_answer = False
                if isinstance(answer, list):
                    self._take(*answer)

    def _take(self, kind: bytes, channel: bytes, said: bytes | int) -> None:
        name = channel[len(self._prefix) :].decode("utf-8", "surrogatepass")
        if isinstance(said, bytes):
            self._on_message(name, said)
        elif kind == b"subscribe":
            self._on_followed((name,))

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._changed.clear()
        self.heard_at = float("-inf")
        if connection is not None:
            with contextlib.suppress(ServerFault), RedisEdge():
                await connection.disconnect(nowait=True)
                await self._redis.connection_pool.release(connection)
