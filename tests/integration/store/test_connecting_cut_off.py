"""A connecting that is cut off at whatever moment leaves nothing behind for the event loop to complain of."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import Any

from uniassist.errors import ServerFault
from uniassist.store.server import pool

# Turns of the event loop: more than a connecting takes until it waits for the server's first byte.
MOMENTS = 40


async def test_no_future_is_left_with_an_error_that_nobody_reads() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    silent = asyncio.Event()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"postgresql://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/db"
    for turns in range(MOMENTS):
        connecting = asyncio.ensure_future(pool.connect(url))
        for _ in range(turns):
            await asyncio.sleep(0)
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError, ServerFault):
            await connecting
        del connecting
    silent.set()
    server.close()
    await server.wait_closed()
    gc.collect()
    assert complaints == []
