"""HTTP for the A2A SDK: bounded in what an answer may be, and without the environment's proxies."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import TypeAlias, cast

import httpx

from uniassist.gateway.providers.kinds.streamed import MAX_STREAM_BYTES
from uniassist.web.calling.client import BadAnswer, BadStatus, CallFailed, Unreachable

CONNECT_SECONDS = 5.0
HttpClient: TypeAlias = httpx.AsyncClient


class Broken(Unreachable):
    """A connection that was there and broke: the other side may have acted."""


class _Counted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for chunk in self._stream:
            taken += len(chunk)
            if taken > MAX_STREAM_BYTES:
                raise BadAnswer(f"its answer has more than {MAX_STREAM_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Bounded(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"  # what is counted is what there is
        response = await super().handle_async_request(request)
        response.stream = _Counted(cast(httpx.AsyncByteStream, response.stream))
        return response


def new_client() -> httpx.AsyncClient:
    """Without deadlines but of connecting: whoever calls has its own. To be closed."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    return httpx.AsyncClient(
        transport=_Bounded(verify=ssl.create_default_context(), limits=limits),
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        trust_env=False,
        follow_redirects=False,
    )


def failure_of(cause: BaseException | None, what: str) -> CallFailed | None:
    """What the client raised, as our own; None: it was something else."""
    if isinstance(cause, CallFailed):
        return cause
    if isinstance(cause, httpx.HTTPStatusError):
        status = cause.response.status_code
        return BadStatus(f"{what}: answered {status}", status, b"")
    if isinstance(cause, httpx.RequestError) and not isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout):
        return Broken(f"{what}: {type(cause).__name__}")
    if isinstance(cause, httpx.RequestError):
        return Unreachable(f"{what}: {type(cause).__name__}")
    return None
