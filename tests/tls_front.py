"""TLS before a server that was built without, as the wheels' are: OpenSSL on both sides, ours is what is tested."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.certificates import Certificate

_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


class Front:
    """`port` on 127.0.0.1, to another port there. What it shows and asks for may change between connections.

    at_once: TLS from the first byte, as with Redis; else where a client asks for it, as with Postgres.
    """

    def __init__(self, behind: int, shown: Certificate, *, at_once: bool) -> None:
        self.at_once = at_once
        self.port = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._behind = behind
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.show(shown)

    def show(self, shown: Certificate) -> None:
        self.context.load_cert_chain(shown.file, shown.key)

    def ask_for(self, authority: Path) -> None:
        """A certificate of the client's."""
        self.context.load_verify_locations(authority)
        self.context.verify_mode = ssl.CERT_REQUIRED

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        # Whatever a client does to its connection is its own affair.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._hand_on(reader, writer)
        writer.transport.abort()
        self._open.pop(task, None)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = b"" if self.at_once else await reader.readexactly(8)
        if first == _SSL_REQUEST:
            writer.write(b"S")
            await writer.start_tls(self.context)
            first = b""
        inner, outer = await asyncio.open_connection("127.0.0.1", self._behind)
        outer.write(first)
        try:
            await asyncio.gather(_pump(reader, outer), _pump(inner, writer))
        finally:
            outer.transport.abort()

    async def cut(self) -> None:
        """All that is open."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):  # ends: with the connection
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError


@asynccontextmanager
async def front(behind: int, shown: Certificate, *, at_once: bool) -> AsyncIterator[Front]:
    found = Front(behind, shown, at_once=at_once)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=found.context if at_once else None)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await found.cut()
