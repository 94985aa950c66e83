"""JSON over HTTP to other services: each call has a deadline, each answer a bound; there are four ways to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import aiohttp

from uniassist.contracts.bounds import MAX_ANSWER_VALUES, MAX_BODY_BYTES
from uniassist.contracts.codec import decode, encode
from uniassist.errors import UniAssistError
from uniassist.settings import mask_url

T = TypeVar("T")

_CHUNK_BYTES = 64 * 1024
_EXCERPT_BYTES = 512

NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class CallFailed(Exception):
    """A call that didn't give what was asked for. Its message may be logged: it holds no header and no secret."""


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
    """Any answer, whatever its status. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OpenAnswer:
    """An answer whose body is still to come. `headers` has lower-case names."""

    def __init__(self, url: str, response: aiohttp.ClientResponse, limit_bytes: int) -> None:
        self._url = url
        self._response = response
        self._limit_bytes = limit_bytes
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def media_type(self) -> str:
        """`text/event-stream`, say; without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def chunks(self) -> AsyncIterator[bytes]:
        """As they come; the caller sees to the deadline, and to how much it takes. Unreachable, BadAnswer."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(self._url, error) from error

    async def whole(self) -> Answer:
        """All of it, within the client's bound."""
        try:
            return Answer(self.status, self.headers, await _bounded(self._url, self._response, self._limit_bytes))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(self._url, error) from error


class JsonClient:
    """One for each service: `async with JsonClient() as client`. Keeps connections; follows no redirect, no cookie.

    `connection_limit`: at once; 0: none.
    `answer_limit_bytes`: a longer answer is a BadAnswer; and so is one of more than `answer_values` values.
    `connect_seconds`: how long it may take to get a connection; Unreachable when it takes longer.
    """

    def __init__(
        self,
        *,
        connection_limit: int = 100,
        answer_limit_bytes: int = MAX_BODY_BYTES,
        answer_values: int = MAX_ANSWER_VALUES,
        connect_seconds: float | None = None,
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds)
        self._connection_limit = connection_limit
        self._answer_limit_bytes = answer_limit_bytes
        self._answer_values = answer_values
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
        return self.shaped(url, answer, shape)

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
        return self.shaped(url, answer, shape)

    async def request(
        self,
        method: str,
        url: str,
        *,
        timeout_seconds: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, whatever its status. Unreachable, TimedOut or BadAnswer when there is none.

        `timeout_seconds`: for everything, waiting for a free connection included.
        `headers`: sent as they are; `traceparent` among them, where there is one.
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
                raw = await _bounded(url, response, self._answer_limit_bytes)
                lowered = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, lowered, raw)
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable(f"{mask_url(url)}: no connection within {self._timeout.connect:g} seconds") from error
        except TimeoutError:
            raise TimedOut(f"{mask_url(url)}: no answer within {timeout_seconds:g} seconds") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(url, error) from error

    @asynccontextmanager
    async def opened(
        self, url: str, body: object, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[OpenAnswer]:
        """POST `body`; the answer once its head is there. Its connection is closed with the block.

        Unreachable or BadAnswer when there is none. The caller sees to the deadline.
        """
        assert self._session is not None, "use `async with JsonClient()`"
        sent = {"Content-Type": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        try:
            response = await self._session.request(
                "POST", url, data=encode(body), headers=sent, allow_redirects=False, timeout=self._timeout
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable(f"{mask_url(url)}: no connection within {self._timeout.connect:g} seconds") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(url, error) from error
        try:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise BadAnswer(f"{mask_url(url)}: compressed, though nobody asked for that")
            yield OpenAnswer(url, response, self._answer_limit_bytes)
        finally:
            # What was read to its end is kept for the next request; else the other side is told by the closing.
            response.release() if response.content.at_eof() else response.close()

    def shaped(self, url: str, answer: Answer, shape: type[T]) -> T:
        """The body of a good answer as `shape`. BadStatus, BadAnswer."""
        if not 200 <= answer.status < 300:
            raise BadStatus(
                f"{mask_url(url)}: answered {answer.status}", answer.status, answer.body[:_EXCERPT_BYTES]
            )
        try:
            return decode(answer.body, shape, limit_bytes=self._answer_limit_bytes, values=self._answer_values)
        except UniAssistError as error:
            raise BadAnswer(f"{mask_url(url)}: {error.detail}") from error


async def _bounded(url: str, response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    kept = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        kept += chunk
        if len(kept) > limit_bytes:
            response.close()
            raise BadAnswer(f"{mask_url(url)}: answered more than {limit_bytes} bytes")
    return bytes(kept)


def _failure(url: str, error: Exception) -> CallFailed:
    is_of_connection = isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError)
    # The rest: aiohttp on headers or a URL that it can't read.
    return (Unreachable if is_of_connection else BadAnswer)(f"{mask_url(url)}: {type(error).__name__}")
