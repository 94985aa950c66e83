"""`/ag-ui`: POST runs, GET takes a run up again or tells a thread's messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import Channel, RunCancellation, UnifiedUserInput
from uniassist.contracts.streaming import EVENT_STREAM, DeltaFrame
from uniassist.contracts.timeline import TimelineEvent
from uniassist.errors import (
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    RateLimited,
    SessionNotFound,
    Unavailable,
)
from uniassist.gateway.bounds.bounds import Bounds, give_back
from uniassist.gateway.callers import APPS, Callers, Shown
from uniassist.gateway.fronts.agui import shapes
from uniassist.gateway.fronts.agui.cursors import Cursor
from uniassist.gateway.fronts.agui.history import history
from uniassist.gateway.fronts.agui.naming import CHANNEL, Event
from uniassist.gateway.fronts.agui.shapes import (
    CAPABILITIES,
    EXAMPLE,
    AgCancelled,
    AgCapabilities,
    RunAgentInput,
)
from uniassist.gateway.fronts.agui.telling import Telling
from uniassist.gateway.fronts.cancelling import cancel_under_way
from uniassist.gateway.fronts.entrance import Entrance, Reply
from uniassist.gateway.fronts.following import Following, Stopped
from uniassist.gateway.fronts.sealing import digest
from uniassist.gateway.fronts.traced import Traced
from uniassist.gateway.intake import Intake
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.placed_stream import PlacedStream
from uniassist.gateway.turns.ids import now_ms
from uniassist.gateway.turns.turn import Idempotency
from uniassist.store import fronts as store
from uniassist.store import timeline
from uniassist.store.fronts import Written
from uniassist.store.server.pool import Pool
from uniassist.web import requests
from uniassist.web.auth.app_tokens import AppToken
from uniassist.web.bodies import read_body
from uniassist.web.operations import Content, Operation, Parameter, serves
from uniassist.web.responses import json_response
from uniassist.web.traced import TRACEPARENT

MAX_HISTORY = 2000  # events behind those that a reader has, whose messages it is told
_EVENTS = Content(EVENT_STREAM, description="AG-UI's events; each with an id can be gone on from")
_THREAD = Parameter("threadId", "query", "The thread, which is a session.", required=True, example="thread-1")
_RUN = Parameter("runId", "query", "The client's name of the run; none: the thread's messages only.")
_LAST_EVENT_ID = Parameter("Last-Event-ID", "header", "Of the last event that came.", schema={"type": "string"})
_TAGS = ("ag-ui",)


@dataclass(frozen=True)
class _Asker:
    """`subject`: as AppToken has it; None: apps need no token."""

    token: AppToken | None
    user_id: str
    subject: str | None


class AgUiRoutes:
    """`secret`: seals the traceIds of runs; the same for all instances."""

    def __init__(
        self,
        *,
        pool: Pool,
        entrance: Entrance,
        intake: Intake,
        following: Following,
        callers: Callers,
        bounds: Bounds,
        metrics: GatewayMetrics,
        secret: str,
    ) -> None:
        self._pool = pool
        self._entrance = entrance
        self._intake = intake
        self._following = following
        self._callers = callers
        self._bounds = bounds
        self._metrics = metrics
        self._secret = secret

    @serves(
        Operation(
            "GET",
            "/ag-ui/capabilities",
            "What AG-UI's clients may count on",
            AgCapabilities,
            tags=_TAGS,
        )
    )
    async def ag_ui_capabilities(self, _request: Request) -> Response:
        return json_response(CAPABILITIES)

    @serves(
        Operation(
            "POST",
            "/ag-ui",
            "An input as an AG-UI run, followed to its end",
            _EVENTS,
            request=RunAgentInput,
            request_example=EXAMPLE,
            parameters=(TRACEPARENT,),
            security=APPS,
            problems=(SessionNotFound, IdempotencyMismatch, RateLimited, Unavailable),
            tags=_TAGS,
            description="The same `runId` in its thread is the same run (`docs/fronts-ag-ui.md`).",
        )
    )
    async def ag_ui_run(self, request: Request) -> Response:
        asker = await self._asker(request)
        body = await read_body(request)
        asked = codec.decode(body, RunAgentInput)
        trace_id = self._trace(asker, asked.thread_id, asked.run_id)
        places = await self._bounds.stream_place(request, asked.thread_id, subject=asker.subject)
        try:
            session_id = await self._written(request, asker, asked, trace_id, len(body))
            telling = Telling(asked.thread_id, asked.run_id, Traced(session_id, trace_id))
            events = await store.traced_events(self._pool, session_id, trace_id)
            cursor = Cursor(events[0].seq)  # what the person says
            first = cursor.frames([telling.started(), *telling.standing()])
            for event in events:
                first += cursor.frames(telling.event(event), event.seq)
            told = self._told(telling, cursor, first, asker.token, is_all=len(events) < store.MAX_EVENTS)
            kept, places = places, []
            return PlacedStream(told, places=kept)
        finally:
            give_back(places)

    @serves(
        Operation(
            "GET",
            "/ag-ui",
            "Take a run up again, or be told a thread's messages and the rest of what is under way",
            _EVENTS,
            parameters=(_THREAD, _RUN, _LAST_EVENT_ID),
            security=APPS,
            problems=(NotFound, RateLimited, Unavailable),
            tags=_TAGS,
        )
    )
    async def ag_ui_again(self, request: Request) -> Response:
        asker = await self._asker(request)
        fields = requests.query(request)
        thread_id = requests.text_field(fields, _THREAD.name)
        run_id = requests.text_field(fields, _RUN.name) if _RUN.name in fields else None
        last = requests.header(request, _LAST_EVENT_ID.name, max_length=64)
        cursor = Cursor.read(last, at=_LAST_EVENT_ID.name) if last else None
        if run_id is None:
            session_id, trace_id, cursor = await self._newest(thread_id, asker)
            if not trace_id:
                telling = Telling(thread_id, "none", Traced(thread_id, ""))
                messages = await self._history(session_id, cursor.seq, asker.subject)
                told = [telling.started(), messages, *telling.standing(), *telling.ended("completed")]
                whole = cursor.frames(told)
                return Response(whole, media_type=EVENT_STREAM, headers={"Cache-Control": "no-cache"})
        else:
            trace_id = self._trace(asker, thread_id, run_id)
            written = await self._run(thread_id, asker, trace_id, run_id)
            session_id, cursor = written.session_id, cursor or Cursor(written.seq)
        telling = Telling(thread_id, run_id or trace_id, Traced(session_id, trace_id))
        after, has = list[TimelineEvent](), cursor.seq
        events = await store.traced_events(self._pool, session_id, trace_id)
        for event in events:
            if event.seq <= has:
                telling.passed_over(event)
            else:
                after.append(event)
        messages = await self._history(session_id, has, asker.subject)
        first = cursor.frames([telling.started(), messages, *telling.standing()])
        for event in after:
            first += cursor.frames(telling.event(event), event.seq)
        places = await self._bounds.stream_place(request, session_id, subject=asker.subject)
        frames = self._told(telling, cursor, first, asker.token, is_all=len(events) < store.MAX_EVENTS)
        return PlacedStream(frames, places=places)

    @serves(
        Operation(
            "DELETE",
            "/ag-ui",
            "Cancel what is under way of a run",
            AgCancelled,
            parameters=(_THREAD, replace(_RUN, required=True), TRACEPARENT),
            security=APPS,
            problems=(NotFound, RateLimited, Unavailable),
            tags=_TAGS,
            description="A client that is gone cancels nothing.",
        )
    )
    async def ag_ui_cancel(self, request: Request) -> Response:
        asker = await self._asker(request)
        fields = requests.query(request)
        thread_id, run_id = (requests.text_field(fields, each.name) for each in (_THREAD, _RUN))
        trace_id = self._trace(asker, thread_id, run_id)
        written = await self._run(thread_id, asker, trace_id, run_id)
        traced = Traced(written.session_id, trace_id)
        for event in await store.traced_events(self._pool, written.session_id, trace_id):
            traced.note(event)
        cancellation = RunCancellation(
            schema_version=SCHEMA_VERSION,
            trace_id=trace_id,
            session_id=written.session_id,
            user_id=asker.user_id,
            timestamp_ms=now_ms(),
        )
        writer = self._callers.writer(Shown(token=asker.token), None, asker.user_id)
        cancelled = await cancel_under_way(self._pool, self._intake, request, writer, cancellation, traced)
        return json_response(AgCancelled(cancelled))

    async def _written(
        self, request: Request, asker: _Asker, asked: RunAgentInput, trace_id: str, size_bytes: int
    ) -> str:
        """The session where the run is written: as a message, or as answers to what was asked."""
        # The trace's name where two names could be read in two ways; else as earlier releases wrote it.
        key = trace_id if ":" in asked.thread_id else f"{asked.thread_id}:{asked.run_id}"
        scope = f"ag-ui:{asker.subject or asker.user_id}"
        named = shapes.message_id(asked) if not asked.resume else None
        message = UnifiedUserInput(
            schema_version=SCHEMA_VERSION,
            trace_id=trace_id,
            user_id=asker.user_id,
            session_id=asked.thread_id,
            source="api",
            timestamp_ms=now_ms(),
            channel=Channel(id=CHANNEL, message_id=named),
        )
        answers = shapes.answers(asked)
        if not answers:
            text, files = shapes.said(asked)
            message = structs.replace(
                message,
                text=text,
                attachments=files or None,
                channel=Channel(id=CHANNEL, message_id=shapes.message_id(asked)),
            )
            requested = await self._entrance.ask(
                request, asker.token, message, idempotency=Idempotency(scope, key), size_bytes=size_bytes
            )
            return requested.session_id
        found = await store.traced(self._pool, asked.thread_id, asker.user_id, trace_id, subject=asker.subject)
        session_id = found.session_id if found is not None else asked.thread_id
        for number, answer in enumerate(answers):
            try:
                requested = await self._entrance.ask(
                    request,
                    asker.token,
                    structs.replace(message, text=answer.text),
                    idempotency=Idempotency(scope, f"{key}:{answer.interrupt_id}" if number else key),
                    size_bytes=size_bytes,
                    reply=Reply(answer.interrupt_id, answer.payload),
                    goes_on=number > 0,
                )
            except InvalidRequest:
                if number == 0 or found is None:
                    raise
                continue  # repeated: it was answered the first time
            session_id = requested.session_id
        return session_id

    async def _told(
        self, telling: Telling, cursor: Cursor, first: bytes, token: AppToken | None, *, is_all: bool
    ) -> AsyncIterator[bytes]:
        """`first`: what is told already; `is_all`: of all that the timeline had."""
        self._metrics.streams.inc()
        traced = telling.traced
        until = None if token is None else asyncio.get_running_loop().time() + token.expires_at - time.time()
        try:
            subject = token.subject if token is not None else None
            requested = traced.following(is_whole=False)
            if is_all and requested.is_over:
                yield first + cursor.frames(telling.ended(traced.standing(is_owed=False)))
                return
            yield first
            async with aclosing(self._following.answer(requested, subject=subject, until=until)) as items:
                async for item in items:
                    if item is None:
                        yield b": still here\n\n"
                    elif isinstance(item, DeltaFrame):
                        yield cursor.frames(telling.piece(item))
                    elif told := cursor.frames(telling.event(item), item.seq):
                        yield told
            yield cursor.frames(telling.ended(traced.standing(is_owed=False)))
        except Stopped:
            return  # without an end: the client comes again
        finally:
            self._metrics.streams.dec()

    async def _newest(self, thread_id: str, asker: _Asker) -> tuple[str, str, Cursor]:
        """Session and trace of the person's last word, and how far the timeline is. No trace: it isn't lately."""
        shown = await store.last_shown(self._pool, thread_id, asker.user_id, subject=asker.subject)
        if not shown:
            return thread_id, "", Cursor(0)
        last = next((event for event in shown if event.kind in ("inbound", "user_interaction")), None)
        return shown[0].session_id, last.trace_id if last is not None else "", Cursor(shown[0].seq)

    async def _run(self, thread_id: str, asker: _Asker, trace_id: str, run_id: str) -> Written:
        found = await store.traced(self._pool, thread_id, asker.user_id, trace_id, subject=asker.subject)
        if found is None:
            raise NotFound("runId: no such run in this thread")
        return found

    async def _history(self, session_id: str, until: int, subject: str | None) -> Event:
        events, cursor, more = list[TimelineEvent](), max(0, until - MAX_HISTORY), True
        while more and cursor < until:  # ends: with the timeline, or at `until`
            page = await timeline.read(self._pool, session_id, cursor, subject=subject)
            events += [event for event in page.events if event.seq <= until]
            cursor, more = page.events[-1].seq if page.events else until, page.more
        return history(events)

    async def _asker(self, request: Request) -> _Asker:
        """The token's user; where apps need none, one for each credential that is shown."""
        token = await self._callers.app(request)
        if token is not None:
            return _Asker(token, token.user_id, token.subject)
        return _Asker(None, f"ag-ui-{digest([requests.bearer_token(request) or ''], self._secret)}", None)

    def _trace(self, asker: _Asker, thread_id: str, run_id: str) -> str:
        return digest([asker.subject or asker.user_id, thread_id, run_id], self._secret)
