"""JSON over HTTP to other services: a deadline on every call, a bound on every answer, four ways to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import aiohttp

from uniassist.contracts.codec import MAX_BODY_BYTES, decode, encode
from uniassist.errors import UniAssistError

T = TypeVar("T")

_CHUNK_BYTES = 64 * 1024
_EXCERPT_BYTES = 512

NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class CallFailed(Exception):
    """A call that didn't give what was asked for; the message may be logged, it holds no header and no secret."""


class Unreachable(CallFailed):
    """No connection, or one that broke. Caused by a NEVER_CONNECTED: nothing of the request was sent."""


class TimedOut(CallFailed):
    """The deadline passed; whether the other side acted is unknown."""


class BadAnswer(CallFailed):
    """An answer that isn't what the contract says, or is too large."""


class BadStatus(CallFailed):
    """An answer with a status other than 2xx; `body` is its beginning."""

    def __init__(self, message: str, status: int, body: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Answer:
    """`headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class JsonClient:
    """One per service: `async with JsonClient() as client`. Connections are kept; redirects and cookies are not.

    `connect_seconds`: how long it may take to have a connection; that it took longer is Unreachable.
    """

    def __init__(
        self,
        *,
        connection_limit: int = 100,
        answer_limit_bytes: int = MAX_BODY_BYTES,
        connect_seconds: float | None = None,
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds)
        self._connection_limit = connection_limit
        self._answer_limit_bytes = answer_limit_bytes
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> JsonClient:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connection_limit, keepalive_timeout=20),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": "uniassist"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get_json(
        self, url: str, shape: type[T], *, timeout_seconds: float, headers: Mapping[str, str] | None = None
    ) -> T:
        """GET `url`, the answer as `shape`."""
        answer = await self.request("GET", url, timeout_seconds=timeout_seconds, headers=headers)
        return _shaped(url, answer, shape)

    async def post_json(
        self,
        url: str,
        body: object,
        shape: type[T],
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """POST `body` (bytes are sent as they are: signed, for instance), the answer as `shape`."""
        raw = body if isinstance(body, bytes) else encode(body)
        answer = await self.request("POST", url, body=raw, timeout_seconds=timeout_seconds, headers=headers)
        return _shaped(url, answer, shape)

    async def request(
        self,
        method: str,
        url: str,
        *,
        timeout_seconds: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any answer, whatever its status. Unreachable, TimedOut or BadAnswer when there is none to be had.

        `timeout_seconds` covers everything, waiting for a free connection included. `headers` go as they are:
        pass `traceparent` on here.
        """
        assert self._session is not None, "use `async with JsonClient()`"
        sent = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self._session.request(
                    method,
                    url,
                    data=body,
                    headers={**sent, **(headers or {})},
                    allow_redirects=False,
                    timeout=self._timeout,
                ) as response,
            ):
                raw = await self._bounded(url, response)
                lowered = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, lowered, raw)
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable(f"{url}: no connection within {self._timeout.connect:g} seconds") from error
        except TimeoutError:
            raise TimedOut(f"{url}: no answer within {timeout_seconds:g} seconds") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise Unreachable(f"{url}: {type(error).__name__}") from error
        except (aiohttp.ClientError, ValueError) as error:  # ValueError: aiohttp on headers or a URL it can't read
            raise BadAnswer(f"{url}: {type(error).__name__}") from error

    async def _bounded(self, url: str, response: aiohttp.ClientResponse) -> bytes:
        kept = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            kept += chunk
            if len(kept) > self._answer_limit_bytes:
                response.close()
                raise BadAnswer(f"{url}: answered more than {self._answer_limit_bytes} bytes")
        return bytes(kept)


def _shaped(url: str, answer: Answer, shape: type[T]) -> T:
    if not 200 <= answer.status < 300:
        raise BadStatus(f"{url}: answered {answer.status}", answer.status, answer.body[:_EXCERPT_BYTES])
    try:
        return decode(answer.body, shape)
    except UniAssistError as error:
        raise BadAnswer(f"{url}: {error.detail}") from error
