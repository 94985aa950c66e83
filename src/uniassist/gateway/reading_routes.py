"""What clients read: the timeline, the stream, and the tickets that let a browser's EventSource in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import codec, examples
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import StreamTicket, StreamTicketRequest
from uniassist.contracts.timeline import TimelinePage
from uniassist.errors import InvalidAppToken, InvalidRequest, InvalidSignature, Unavailable
from uniassist.gateway.bounds.bounds import Bounds
from uniassist.gateway.bounds.open_streams import Place
from uniassist.gateway.callers import READERS, SIGNED, Callers
from uniassist.gateway.event_streams import Hub
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.placed_stream import PlacedStream
from uniassist.gateway.tickets import MAX_TICKET_LENGTH, Tickets
from uniassist.gateway.turns.ids import now_ms
from uniassist.store import nonces, timeline
from uniassist.store.server.pool import Pool
from uniassist.web import requests
from uniassist.web.bodies import read_body
from uniassist.web.operations import Content, Operation, Parameter, serves
from uniassist.web.responses import json_response

_SESSION = Parameter("sessionId", "query", "The session.", required=True, example=examples.SESSION_ID)
_STREAMED = Parameter(
    "sessionId", "query", "The session; with a ticket it may be left out.", example=examples.SESSION_ID
)
_CURSOR = Parameter(
    "cursor",
    "query",
    "Events with a seq above it.",
    schema={"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    example=0,
)
_TICKET = Parameter(
    "ticket",
    "query",
    "Of POST /v0/stream-tickets, in a token's place: used once, within a minute.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_TICKET_LENGTH},
)
_LAST_EVENT_ID = Parameter("Last-Event-ID", "header", "Beats cursor.", schema={"type": "string"})
_TAGS = ("client",)


@dataclass(frozen=True)
class _Admitted:
    """Who follows which session. `subject` None: anyone; `ends_at`, in Unix seconds, None: ends with its reader.

    `signed`: a channel, whose streams aren't counted.
    """

    session_id: str
    subject: str | None
    ends_at: float | None
    signed: bool = False


class ReadingRoutes:
    """One method for each call that reads a session."""

    def __init__(
        self,
        *,
        pool: Pool,
        hub: Hub,
        metrics: GatewayMetrics,
        callers: Callers,
        tickets: Tickets,
        bounds: Bounds,
    ) -> None:
        self._pool = pool
        self._hub = hub
        self._metrics = metrics
        self._callers = callers
        self._tickets = tickets
        self._bounds = bounds

    @serves(
        Operation(
            "GET",
            "/v0/timeline",
            "A session's events in seq order, at most 1000",
            TimelinePage,
            response_example=examples.TIMELINE_PAGE,
            parameters=(_SESSION, _CURSOR, *SIGNED),
            security=READERS,
            problems=(Unavailable,),
            tags=_TAGS,
        )
    )
    async def timeline(self, request: Request) -> Response:
        token = await self._callers.reader(request)
        fields = requests.query(request)
        session_id = requests.text_field(fields, _SESSION.name)
        cursor = requests.integer_field(fields, _CURSOR.name, default=0)
        subject = token.subject if token is not None else None
        events = (await timeline.read(self._pool, session_id, cursor, subject=subject)).events
        page = TimelinePage(
            schema_version=SCHEMA_VERSION, events=events, next_cursor=events[-1].seq if events else cursor
        )
        return json_response(page)

    @serves(
        Operation(
            "GET",
            "/v0/stream",
            "Follow a session as server-sent events",
            Content("text/event-stream", description="Frames with id: seq and data: a timeline event"),
            response_example=f"id: 1\ndata: {codec.encode(examples.SSE_FRAME).decode()}\n\n",
            parameters=(_STREAMED, _CURSOR, _TICKET, _LAST_EVENT_ID, *SIGNED),
            security=READERS,
            problems=(Unavailable,),
            tags=_TAGS,
            description="Ends when the token does: the client goes on from its cursor with a new one. Events named "
            "`delta`, without an id, are pieces of messages that are still being written (`docs/streaming.md`).",
        )
    )
    async def stream(self, request: Request) -> Response:
        fields = requests.query(request)
        admitted = await (
            self._by_ticket(request, fields) if _TICKET.name in fields else self._by_caller(request, fields)
        )
        cursor = requests.integer_field(fields, _CURSOR.name, default=0)
        last_event_id = requests.header(request, _LAST_EVENT_ID.name, max_length=64)
        if last_event_id:
            cursor = requests.integer(_LAST_EVENT_ID.name, last_event_id)
        places = list[Place]()
        if not admitted.signed:
            places = await self._bounds.stream_place(request, admitted.session_id, subject=admitted.subject)
        frames = self._hub.follow(
            admitted.session_id, cursor, subject=admitted.subject, until=_loop_time(admitted.ends_at)
        )
        return PlacedStream(self._counted(frames), places=places)

    @serves(
        Operation(
            "POST",
            "/v0/stream-tickets",
            "A ticket to follow a session with, for who can't send headers",
            StreamTicket,
            request=StreamTicketRequest,
            request_example=examples.STREAM_TICKET_REQUEST,
            response_example=examples.STREAM_TICKET,
            parameters=SIGNED,
            security=READERS,
            tags=_TAGS,
            description="Good for one stream of this session, in the caller's name, within a minute.",
        )
    )
    async def stream_ticket(self, request: Request) -> Response:
        shown = await self._callers.shown(request)
        body = await read_body(request)
        signer = self._callers.signer(shown, request, body)
        asked = codec.decode(body, StreamTicketRequest)
        if signer is not None and signer.nonce is not None and not await nonces.use(self._pool, signer.nonce):
            raise InvalidSignature("x-uniassist-nonce: used before; expected a fresh one for each request")
        token = shown.token
        ticket, expires_at = self._tickets.issue(
            asked.session_id,
            subject=token.subject if token is not None else None,
            ends_at_ms=int(token.expires_at * 1000) if token is not None else None,
            now_ms=now_ms(),
        )
        answer = StreamTicket(ticket=ticket, expires_at=expires_at)
        return json_response(answer, headers={"Cache-Control": "no-store"})

    async def _by_caller(self, request: Request, fields: dict[str, str]) -> _Admitted:
        shown = await self._callers.shown(request)
        signer, token = self._callers.signer(shown, request, b""), shown.token
        session_id = requests.text_field(fields, _STREAMED.name)
        if token is None:
            return _Admitted(session_id, None, None, signed=signer is not None)
        if token.expires_at <= time.time():  # within the leeway: it would end at once, again and again
            raise InvalidAppToken("Authorization: the token has expired")
        return _Admitted(session_id, token.subject, token.expires_at)

    async def _by_ticket(self, request: Request, fields: dict[str, str]) -> _Admitted:
        self._callers.check_asked(request)
        ticket = self._tickets.read(fields[_TICKET.name], now_ms())
        if fields.get(_STREAMED.name, ticket.session_id) != ticket.session_id:
            raise InvalidRequest("sessionId: expected that of the ticket, or none")
        if not await nonces.use(self._pool, ticket.nonce):
            raise InvalidAppToken("ticket: used before; expected a fresh one")
        ends_at = ticket.ends_at_ms / 1000 if ticket.ends_at_ms is not None else None
        return _Admitted(ticket.session_id, ticket.subject, ends_at)

    async def _counted(self, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._metrics.streams.inc()
        try:
            async for frame in frames:
                yield frame
        finally:
            self._metrics.streams.dec()


def _loop_time(at: float | None) -> float | None:
    return None if at is None else asyncio.get_running_loop().time() + at - time.time()
