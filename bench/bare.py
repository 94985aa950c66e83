"""The smallest application that takes an input: reads the body, answers with as many bytes as an IngestAck has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from uniassist.contracts import codec, examples

_ANSWER = codec.encode(examples.INGEST_ACK)
_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())],
}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        while True:
            asked = await receive()
            await send({"type": f"{asked['type']}.complete"})
            if asked["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send(_HEAD)
    await send({"type": "http.response.body", "body": _ANSWER})
