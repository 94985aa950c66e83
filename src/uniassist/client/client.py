"""The client itself: calls under a key, pages of a timeline, and a stream that goes on."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from uniassist.client.failures import Away, Pauses, Refused, refusal
from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import (
    Attachment,
    IngestAck,
    InteractAck,
    RunCancellation,
    RunCancelled,
    StreamTicket,
    StreamTicketRequest,
    UnifiedUserInput,
    UserInteraction,
)
from uniassist.contracts.timeline import TimelineEvent, TimelinePage
from uniassist.web.calling import sse
from uniassist.web.calling.client import BadStatus, CallFailed, JsonClient, TimedOut, Unreachable

T = TypeVar("T")
Token: TypeAlias = str | Callable[[], Awaitable[str]]
UNAUTHORIZED = 401


class Client:
    """Of one user: `async with Client(url, user_id=…) as client`. Any number of calls and streams at a time.

    url: of the gateway, or of what stands before it.
    token: an app token, or who fetches one: asked for each connection and, after a 401, once more.
    call_seconds: for one try. patience_seconds: for a call with all its tries; 0: one try.
    """

    def __init__(
        self,
        url: str,
        *,
        user_id: str,
        token: Token | None = None,
        call_seconds: float = 10.0,
        patience_seconds: float = 60.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._user_id = user_id
        self._token = token
        self._call_seconds = call_seconds
        self._patience_seconds = patience_seconds
        self._http = JsonClient()

    async def __aenter__(self) -> Client:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def send(
        self,
        text: str,
        *,
        session_id: str,
        attachments: Sequence[Attachment] | None = None,
        locale: str | None = None,
        timezone: str | None = None,
        key: str | None = None,
        at_ms: int | None = None,
    ) -> IngestAck:
        """A message: once the answer is there, it is durable. Refused, Away.

        key: under which it is one message, however often it is tried; None: one that nobody else has. An app that
        sends it again after a restart of its own gives the same key and `at_ms`, when it was written.
        The answer names the session that it went to: another one than the given, where that was idle for long.
        """
        key = key if key is not None else _new_id()
        message = UnifiedUserInput(
            schema_version=SCHEMA_VERSION,
            trace_id=_trace_of(key),
            user_id=self._user_id,
            session_id=session_id,
            source="app",
            timestamp_ms=at_ms if at_ms is not None else _now_ms(),
            text=text,
            attachments=list(attachments) if attachments is not None else None,
            locale=locale,
            timezone=timezone,
        )
        return await self._call("POST", "/v0/ingest", IngestAck, message, key)

    async def interact(
        self,
        *,
        session_id: str,
        provider_id: str,
        run_id: str,
        action_id: str,
        payload: Any = None,
        key: str | None = None,
        at_ms: int | None = None,
    ) -> InteractAck:
        """An answer to what was shown: a button, a choice, a form. As `send`."""
        key = key if key is not None else _new_id()
        interaction = UserInteraction(
            schema_version=SCHEMA_VERSION,
            trace_id=_trace_of(key),
            session_id=session_id,
            user_id=self._user_id,
            provider_id=provider_id,
            run_id=run_id,
            action_id=action_id,
            payload=payload,
            timestamp_ms=at_ms if at_ms is not None else _now_ms(),
        )
        return await self._call(
            "POST", "/v0/interact", InteractAck, interaction, key if key is not None else _new_id()
        )

    async def cancel(self, *, session_id: str, run_id: str) -> RunCancelled:
        """A run that is under way. Refused: it is over, or none of this user's. Away."""
        asked = RunCancellation(
            schema_version=SCHEMA_VERSION,
            trace_id=_new_id(),
            session_id=session_id,
            user_id=self._user_id,
            timestamp_ms=_now_ms(),
        )
        return await self._call("POST", f"/v0/runs/{quote(run_id, safe='')}/cancel", RunCancelled, asked)

    async def ticket(self, session_id: str) -> StreamTicket:
        """For a browser's EventSource, which can't show a token. Refused, Away."""
        return await self._call(
            "POST", "/v0/stream-tickets", StreamTicket, StreamTicketRequest(session_id=session_id)
        )

    async def timeline(self, session_id: str, *, cursor: int = 0) -> AsyncGenerator[TimelineEvent, None]:
        """What there is behind the cursor, page by page. Refused, Away."""
        while True:  # ends: with a page that leads no further
            where = f"/v0/timeline?sessionId={quote(session_id, safe='')}&cursor={cursor}"
            page = await self._call("GET", where, TimelinePage)
            for event in page.events:
                yield event
            if not page.events or page.next_cursor <= cursor:
                return
            cursor = page.next_cursor

    async def follow(
        self, session_id: str, *, cursor: int = 0, resume: bool = True
    ) -> AsyncGenerator[TimelineEvent, None]:
        """What comes behind the cursor, each event once and in order, for as long as it is read.

        resume: whatever breaks, go on behind the last event that was given. False: end with the stream, or Away.
        Refused, other than for what passes. The session needn't exist yet.
        """
        pauses, is_renewed = Pauses(), False
        while True:  # ends: with its reader, its stream where that is asked for, or a refusal
            try:
                headers = await self._headers()
                async with aclosing(
                    sse.follow(self._url, session_id, cursor=cursor, reconnect=False, headers=headers)
                ) as events:
                    async for event in events:
                        cursor, is_renewed = event.seq, False
                        pauses.reset()
                        yield event
            except BadStatus as error:
                refused = refusal(f"{self._url}/v0/stream", error.status, error.body, {})
                may_renew = refused.status == UNAUTHORIZED and callable(self._token) and not is_renewed
                if not resume or not (refused.passes or may_renew):
                    raise refused from None
                is_renewed = is_renewed or may_renew
            except CallFailed as error:
                if not resume:
                    raise Away(str(error)) from None
            if not resume:
                return
            await asyncio.sleep(pauses.take())

    async def _call(
        self, method: str, path: str, shape: type[T], body: object | None = None, key: str | None = None
    ) -> T:
        """`body` is written once: a key is good for these very bytes."""
        url, raw = f"{self._url}{path}", codec.encode(body) if body is not None else None
        loop, pauses, is_renewed = asyncio.get_running_loop(), Pauses(), False
        end = loop.time() + self._patience_seconds
        while True:  # ends: with an answer, or with the patience
            failure: Refused | Away
            try:
                answer = await self._http.request(
                    method, url, body=raw, timeout_seconds=self._call_seconds, headers=await self._headers(key)
                )
                if 200 <= answer.status < 300:
                    return self._http.shaped(url, answer, shape)
                failure = refusal(url, answer.status, answer.body, answer.headers)
                if failure.status == UNAUTHORIZED and callable(self._token) and not is_renewed:
                    is_renewed = True
                    continue
                if not failure.passes:
                    raise failure
                pause = failure.retry_after_seconds or pauses.take()
            except (Unreachable, TimedOut) as error:
                failure, pause = Away(str(error)), pauses.take()
            except CallFailed as error:  # what answers is no gateway
                raise Away(str(error)) from None
            if loop.time() + pause > end:
                raise failure
            await asyncio.sleep(pause)

    async def _headers(self, key: str | None = None) -> dict[str, str]:
        token = await self._token() if callable(self._token) else self._token
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        return shown | ({"Idempotency-Key": key} if key is not None else {})


def _trace_of(key: str) -> str:
    """The same for the same key, as all of a repeated body has to be."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _new_id() -> str:
    return uuid.uuid4().hex


def _now_ms() -> int:
    return int(time.time() * 1000)
