"""`/ag-ui`: POST runs, GET takes a run up again or tells a thread's messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import Channel, UnifiedUserInput
from uniassist.contracts.streaming import EVENT_STREAM, DeltaFrame
from uniassist.contracts.timeline import TimelineEvent
from uniassist.errors import IdempotencyMismatch, NotFound, RateLimited, SessionNotFound, Unavailable
from uniassist.gateway.bounds.bounds import Bounds, give_back
from uniassist.gateway.callers import APPS, Callers
from uniassist.gateway.fronts.agui.shapes import CAPABILITIES, EXAMPLE, AgCapabilities, RunAgentInput, said
from uniassist.gateway.fronts.agui.telling import Event, Telling, frames, history
from uniassist.gateway.fronts.entrance import Entrance, Reply
from uniassist.gateway.fronts.following import Following, Stopped
from uniassist.gateway.fronts.sealing import digest
from uniassist.gateway.fronts.traced import Traced
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.placed_stream import PlacedStream
from uniassist.gateway.turns.ids import now_ms
from uniassist.gateway.turns.turn import Idempotency
from uniassist.store import fronts as store
from uniassist.store import timeline
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


class AgUiRoutes:
    """`secret`: seals the traceIds of runs; the same for all instances."""

    def __init__(
        self,
        *,
        pool: Pool,
        entrance: Entrance,
        following: Following,
        callers: Callers,
        bounds: Bounds,
        metrics: GatewayMetrics,
        secret: str,
    ) -> None:
        self._pool = pool
        self._entrance = entrance
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
        token = await self._callers.app(request)
        body = await read_body(request)
        asked = codec.decode(body, RunAgentInput)
        text, files = said(asked)
        user_id = self._user(request, token)
        subject = token.subject if token is not None else None
        trace_id = self._trace(subject or user_id, asked.thread_id, asked.run_id)
        message = UnifiedUserInput(
            schema_version=SCHEMA_VERSION,
            trace_id=trace_id,
            user_id=user_id,
            session_id=asked.thread_id,
            source="api",
            timestamp_ms=now_ms(),
            channel=Channel(id="ag-ui", message_id=asked.run_id),
            text=text,
            attachments=files or None,
        )
        resumed = asked.resume[0] if asked.resume and asked.resume[0].status == "resolved" else None
        places = await self._bounds.stream_place(request, asked.thread_id, subject=subject)
        try:
            requested = await self._entrance.ask(
                request,
                token,
                message,
                idempotency=Idempotency(f"ag-ui:{subject or user_id}", f"{asked.thread_id}:{asked.run_id}"),
                size_bytes=len(body),
                reply=Reply(resumed.interrupt_id, resumed.payload) if resumed is not None else None,
            )
            telling = Telling(asked.thread_id, asked.run_id, Traced(requested.session_id, trace_id))
            first = frames([telling.started()])
            for event in await store.traced_events(self._pool, requested.session_id, trace_id):
                first += frames(telling.event(event), event.seq)
            told, kept, places = self._told(telling, first, token), places, []
            return PlacedStream(told, places=kept)
        finally:
            give_back(places)

    @serves(
        Operation(
            "GET",
            "/ag-ui",
            "Take a run up again, or be told a thread's messages",
            _EVENTS,
            parameters=(_THREAD, _RUN, _LAST_EVENT_ID),
            security=APPS,
            problems=(NotFound, RateLimited, Unavailable),
            tags=_TAGS,
        )
    )
    async def ag_ui_again(self, request: Request) -> Response:
        token = await self._callers.app(request)
        fields = requests.query(request)
        thread_id = requests.text_field(fields, _THREAD.name)
        run_id = requests.text_field(fields, _RUN.name) if _RUN.name in fields else None
        last = requests.header(request, _LAST_EVENT_ID.name, max_length=64)
        cursor = requests.integer(_LAST_EVENT_ID.name, last) if last else None
        user_id, subject = self._user(request, token), token.subject if token is not None else None
        if run_id is None:
            return await self._messages(thread_id, user_id, subject)
        trace_id = self._trace(subject or user_id, thread_id, run_id)
        found = await store.traced(self._pool, thread_id, user_id, trace_id, subject=subject)
        if found is None:
            raise NotFound("runId: no such run in this thread")
        cursor = found.seq - 1 if cursor is None else cursor
        telling = Telling(thread_id, run_id, Traced(found.session_id, trace_id))
        begin = [telling.started(), await self._history(found.session_id, cursor, subject)]
        after = b""
        is_reopened = False
        for event in await store.traced_events(self._pool, found.session_id, trace_id):
            if event.seq <= cursor:
                telling.passed_over(event)
                continue
            if not is_reopened:
                begin, is_reopened = [*begin, *telling.reopened()], True
            after += frames(telling.event(event), event.seq)
        begin = begin if is_reopened else [*begin, *telling.reopened()]
        places = await self._bounds.stream_place(request, found.session_id, subject=subject)
        return PlacedStream(self._told(telling, frames(begin) + after, token), places=places)

    async def _told(self, telling: Telling, first: bytes, token: AppToken | None) -> AsyncIterator[bytes]:
        self._metrics.streams.inc()
        traced = telling.traced
        until = None if token is None else asyncio.get_running_loop().time() + token.expires_at - time.time()
        try:
            yield first
            subject = token.subject if token is not None else None
            requested = traced.following(is_whole=False)
            async with aclosing(self._following.answer(requested, subject=subject, until=until)) as items:
                async for item in items:
                    if item is None:
                        yield b": still here\n\n"
                    elif isinstance(item, DeltaFrame):
                        yield frames(telling.piece(item))
                    elif told := frames(telling.event(item), item.seq):
                        yield told
            yield frames(telling.ended(traced.standing(is_owed=False)), traced.last_seq)
        except Stopped:
            return  # without an end: the client comes again
        finally:
            self._metrics.streams.dec()

    async def _messages(self, thread_id: str, user_id: str, subject: str | None) -> Response:
        """The thread as it stands, as a run that says it and ends."""
        shown = await store.last_shown(self._pool, thread_id, user_id, subject=subject)
        events: Event = {"type": "MESSAGES_SNAPSHOT", "messages": []}
        telling = Telling(thread_id, f"history-{shown[0].seq if shown else 0}", Traced(thread_id, ""))
        if shown:
            events = await self._history(shown[0].session_id, shown[0].seq, subject)
        told = frames([telling.started(), events, *telling.ended("completed")])
        return Response(told, media_type=EVENT_STREAM, headers={"Cache-Control": "no-cache"})

    async def _history(self, session_id: str, until: int, subject: str | None) -> Event:
        events, cursor, more = list[TimelineEvent](), max(0, until - MAX_HISTORY), True
        while more and cursor < until:  # ends: with the timeline, or at `until`
            page = await timeline.read(self._pool, session_id, cursor, subject=subject)
            events += [event for event in page.events if event.seq <= until]
            cursor, more = page.events[-1].seq if page.events else until, page.more
        return history(events)

    def _user(self, request: Request, token: AppToken | None) -> str:
        """The token's; where apps need none, one for each credential that is shown."""
        if token is not None:
            return token.user_id
        return f"ag-ui-{digest([requests.bearer_token(request) or ''], self._secret)}"

    def _trace(self, who: str, thread_id: str, run_id: str) -> str:
        return digest([who, thread_id, run_id], self._secret)
