"""A TCP proxy that a test can stall, cut, or have a look inside: a network that has bad days."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

Direction = Literal["request", "reply"]
# Sees the connection's number, and each chunk before it is passed on; True: it isn't, nor is anything after it.
Tap = Callable[[int, Direction, bytes], bool]

CHUNK_BYTES = 64 * 1024


class Proxy:
    """On 127.0.0.1, to another port there. A chunk that the tap keeps ends the passing on its connection."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._numbers = itertools.count()
        self.tap: Tap | None = None

    @property
    def port(self) -> int:
        assert self._server is not None, "started"
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None, "started"
        self._server.close()
        self.resume()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lead_to(self, upstream_port: int) -> None:
        """Where new connections go from now on; those that are open stay, as with a name that moves."""
        self._upstream_port = upstream_port

    def stall(self) -> None:
        """Nothing passes, connections stay open."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Every connection breaks; new ones may be made."""
        for writer in list(self._connections):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "streams serve in a task"
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            async with self._upstream(writer) as (upstream_reader, upstream_writer):
                number = next(self._numbers)
                ways = (
                    asyncio.create_task(self._pass_on(number, "request", reader, upstream_writer)),
                    asyncio.create_task(self._pass_on(number, "reply", upstream_reader, writer)),
                )
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    @asynccontextmanager
    async def _upstream(
        self, client: asyncio.StreamWriter
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        opened = {client}
        self._connections |= opened
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
            opened.add(writer)
            self._connections.add(writer)
            yield reader, writer
        finally:
            self._connections -= opened
            for end in opened:
                end.close()  # what is on its way still arrives, as on a real network: also after its sender gave up

    async def _pass_on(
        self, number: int, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                if self.tap is not None and self.tap(number, direction, chunk):
                    await asyncio.Event().wait()  # kept: until the connection ends
                writer.write(chunk)
                await writer.drain()


@asynccontextmanager
async def proxied(upstream_port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(upstream_port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
