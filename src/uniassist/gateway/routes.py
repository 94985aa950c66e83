"""The gateway's HTTP: reads and checks a request, submits a turn, writes the answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator

import asyncpg
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from uniassist.contracts import codec
from uniassist.contracts.base import MAX_ID_LENGTH, SCHEMA_VERSION
from uniassist.contracts.inputs import RunCancellation, UnifiedUserInput, UserInteraction
from uniassist.contracts.provider import (
    Capabilities,
    ProviderEventsRequest,
    ProviderManifest,
    Security,
)
from uniassist.contracts.timeline import TimelinePage
from uniassist.errors import (
    InvalidRequest,
    MissingScope,
    RateLimited,
    Unavailable,
)
from uniassist.gateway import access, late_events, routing
from uniassist.gateway.access import Caller
from uniassist.gateway.callers import Callers
from uniassist.gateway.cancel import Cancel
from uniassist.gateway.directory import Directory
from uniassist.gateway.idle import activity_ms
from uniassist.gateway.ids import now_ms
from uniassist.gateway.ingest import Ingest
from uniassist.gateway.interact import NEW_SESSION, SWITCH, Interact
from uniassist.gateway.ledger import OUTAGE, Ledger
from uniassist.gateway.live import Hub
from uniassist.gateway.metrics import Metrics
from uniassist.gateway.rate_limit import RateLimit
from uniassist.gateway.turns import Idempotency, Turn
from uniassist.store import context, timeline
from uniassist.store.ledger import Opening
from uniassist.store.pool import Pool
from uniassist.web import requests
from uniassist.web.app import json_response
from uniassist.web.problems import set_trace_id
from uniassist.web.traced import traceparent

MAX_KEY_LENGTH = 255
PROFILE = "profile:"
MAX_PROFILE_REF_LENGTH = len(PROFILE) + MAX_ID_LENGTH


class Routes:
    """One method for each call of the contract."""

    def __init__(
        self,
        *,
        pool: Pool,
        ledger: Ledger,
        hub: Hub,
        directory: Directory,
        metrics: Metrics,
        callers: Callers,
        rate_limit: RateLimit,
        version: str,
    ) -> None:
        self._pool = pool
        self._ledger = ledger
        self._hub = hub
        self._directory = directory
        self._metrics = metrics
        self._callers = callers
        self._rate_limit = rate_limit
        self._version = version

    async def ingest(self, request: Request) -> Response:
        began = time.perf_counter()
        try:
            answer = await self._ingest(request)
        except BaseException:
            self._metrics.ingest_failed()
            raise
        self._metrics.ingested(time.perf_counter() - began)
        return Response(answer, media_type="application/json")

    async def _ingest(self, request: Request) -> bytes:
        body = await requests.read_body(request)
        message = codec.decode(body, UnifiedUserInput)
        set_trace_id(request, message.trace_id)
        caller, nonce = self._callers.writer(request, body, must_sign=message.source != "app")
        access.check_names(message.session_id, message.user_id, caller)
        self._limit(caller, message.user_id)
        at_ms = activity_ms(message.timestamp_ms, now_ms())
        turn = Turn(
            session_id=message.session_id,
            decide=Ingest(message, self._directory.catalogue, caller),
            opening=Opening(message.session_id, message.user_id, caller.signed, at_ms, caller.subject),
            nonce=nonce,
            idempotency=_idempotency(request, message, body, caller),
            traceparent=traceparent(request),
            size_bytes=len(body),
        )
        return await self._ledger.submit(turn)

    async def interact(self, request: Request) -> Response:
        body = await requests.read_body(request)
        interaction = codec.decode(body, UserInteraction)
        set_trace_id(request, interaction.trace_id)
        caller, nonce = self._callers.writer(request, body, must_sign=False)
        self._limit(caller, interaction.user_id)
        of_session = interaction.action_id.startswith((SWITCH, NEW_SESSION))
        turn = Turn(
            session_id=interaction.session_id,
            decide=Interact(interaction, self._directory.catalogue, caller),
            nonce=nonce,
            idempotency=_keyed(request, f"interact:{caller.subject or interaction.user_id}", body),
            run_id=None if of_session else interaction.run_id,
            traceparent=traceparent(request),
            follows_successor=of_session,
            size_bytes=len(body),
        )
        return Response(await self._ledger.submit(turn), media_type="application/json")

    async def cancel(self, request: Request) -> Response:
        body = await requests.read_body(request)
        asked = codec.decode(body, RunCancellation)
        set_trace_id(request, asked.trace_id)
        caller, nonce = self._callers.writer(request, body, must_sign=False)
        self._limit(caller, asked.user_id)
        run_id = requests.path_field(request, "runId")
        turn = Turn(
            session_id=asked.session_id,
            decide=Cancel(asked, run_id, caller),
            nonce=nonce,
            run_id=run_id,
            traceparent=traceparent(request),
            follows_successor=False,
        )
        return Response(await self._ledger.submit(turn), media_type="application/json")

    async def timeline(self, request: Request) -> Response:
        subject = self._callers.reader(request)
        fields = requests.query(request)
        session_id = requests.text_field(fields, "sessionId")
        cursor = requests.integer_field(fields, "cursor", default=0)
        try:
            events = (await timeline.read(self._pool, session_id, cursor, subject=subject)).events
        except (*OUTAGE, asyncpg.PostgresError):
            raise Unavailable("the database is away; try again") from None
        page = TimelinePage(
            schema_version=SCHEMA_VERSION, events=events, next_cursor=events[-1].seq if events else cursor
        )
        return json_response(page)

    async def stream(self, request: Request) -> Response:
        subject = self._callers.reader(request)
        fields = requests.query(request)
        session_id = requests.text_field(fields, "sessionId")
        cursor = requests.integer_field(fields, "cursor", default=0)
        last_event_id = requests.header(request, "last-event-id", max_length=64)
        if last_event_id:
            cursor = requests.integer("Last-Event-ID", last_event_id)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._counted(self._hub.follow(session_id, cursor, subject=subject)),
            media_type="text/event-stream",
            headers=headers,
        )

    async def _counted(self, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._metrics.streams.inc()
        try:
            async for frame in frames:
                yield frame
        finally:
            self._metrics.streams.dec()

    async def events(self, request: Request) -> Response:
        whose = self._callers.check_scope(request, "events:write", unnamed="granted")
        asked = await requests.read_shape(request, ProviderEventsRequest)
        if whose is not None and asked.provider_id != whose:
            raise MissingScope(f"providerId: expected {whose}, whose token this is")
        return json_response(
            await late_events.accept(
                asked,
                submit=self._ledger.submit,
                latest_session=self._latest_session,
                traceparent=traceparent(request),
            )
        )

    async def user_context(self, request: Request) -> Response:
        self._callers.check_scope(request, "context:read", unnamed="refused")
        profile_ref = requests.path_field(request, "profileRef", max_length=MAX_PROFILE_REF_LENGTH)
        user_id = profile_ref.removeprefix(PROFILE)
        if user_id in ("", profile_ref):
            raise InvalidRequest("profileRef: expected profile:<userId>")
        try:
            return json_response(await context.read(self._pool, profile_ref, user_id))
        except (*OUTAGE, asyncpg.PostgresError):
            raise Unavailable("the database is away; try again") from None

    async def manifest(self, _request: Request) -> Response:
        return json_response(
            ProviderManifest(
                schema_version=SCHEMA_VERSION,
                provider_id=routing.BUILTIN,
                name="UniAssist",
                version=self._version,
                description="Answers what concerns no specialist, and says which specialists there are.",
                capabilities=Capabilities(
                    inputs=["text"], interaction_events=["assistant_message"], streaming=False
                ),
                security=Security(auth="none", required_scopes=[]),
            )
        )

    def _limit(self, caller: Caller, user_id: str) -> None:
        # of a kind each: what an unsigned caller says of a channel's user costs that user nothing
        key = f"{'signed' if caller.signed else 'app'}:{caller.subject or user_id}"
        wait_seconds = self._rate_limit.take(key, time.monotonic())
        if wait_seconds:
            raise RateLimited("userId: too many inputs of this user; try again", retry_after_seconds=wait_seconds)

    async def _latest_session(self, user_id: str) -> str | None:
        try:
            return await timeline.latest_session(self._pool, user_id)
        except (*OUTAGE, asyncpg.PostgresError):
            raise Unavailable("the database is away; try again") from None


def _idempotency(request: Request, message: UnifiedUserInput, body: bytes, caller: Caller) -> Idempotency | None:
    """By the client's key, else by the channel's message id: a channel pushes the same message again."""
    scope = f"ingest:{message.user_id}" if caller.subject is None else f"ingest-as:{caller.subject}"
    if (keyed := _keyed(request, scope, body)) is not None:
        return keyed
    if message.channel is not None and message.channel.message_id is not None:
        return Idempotency(scope, f"message:{message.source}:{message.channel.message_id}")
    return None


def _keyed(request: Request, scope: str, body: bytes) -> Idempotency | None:
    key = requests.header(request, "idempotency-key", max_length=MAX_KEY_LENGTH)
    if key is None:
        return None
    if not key.strip():
        raise InvalidRequest(f"Idempotency-Key: expected 1 to {MAX_KEY_LENGTH} characters")
    return Idempotency(scope, f"key:{key}", hashlib.sha256(body).digest())
