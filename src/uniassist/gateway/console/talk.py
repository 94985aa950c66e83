"""Who looks; the sessions there are; a session's timeline in slices, and tickets to follow it live."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import examples
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.codec import encode
from uniassist.contracts.inputs import StreamTicket, StreamTicketRequest
from uniassist.errors import Unavailable
from uniassist.gateway.console.access import CONSOLE, READS, Access
from uniassist.gateway.console.shapes import Me, ProviderName, Sessions, SessionSeen, TimelineSlice, ms
from uniassist.gateway.providers.catalogue import Catalogue
from uniassist.gateway.tickets import Tickets
from uniassist.gateway.turns.ids import now_ms
from uniassist.store import console, timeline
from uniassist.store.server.pool import Pool
from uniassist.web import requests
from uniassist.web.operations import Operation, Parameter, serves
from uniassist.web.responses import json_response

NOT_KEPT = {"Cache-Control": "no-store"}
TAGS = ("console",)
_OF = Parameter("of", "query", "Only this user's, or the one session with this id.", example="user-1")
_SESSION = Parameter("sessionId", "query", "The session.", required=True, example=examples.SESSION_ID)
_CURSOR = Parameter(
    "cursor", "query", "Events with a seq above it.", schema={"type": "integer", "minimum": 0}, example=0
)
_MOST_SESSIONS, _MOST_EVENTS = 100, 1000
KEPT_SECONDS = 1.0


def limit_of(most: int) -> Parameter:
    """How many at most."""
    return Parameter(
        "limit", "query", "At most so many.", schema={"type": "integer", "minimum": 1, "maximum": most}
    )


@dataclass(frozen=True)
class Place:
    """What the page says of the system that it looks at."""

    env: str
    version: str
    revision: str
    app_auth: Literal["off", "jwt"]
    shows_releases: bool


class TalkRoutes:
    """`catalogue`: the providers of the moment."""

    def __init__(
        self, *, access: Access, pool: Pool, tickets: Tickets, catalogue: Callable[[], Catalogue], place: Place
    ) -> None:
        self._access = access
        self._pool = pool
        self._tickets = tickets
        self._catalogue = catalogue
        self._place = place
        self._kept: dict[int, tuple[float, bytes]] = {}  # the last answer, by its limit
        self._looking = asyncio.Lock()

    @serves(
        Operation(
            "GET",
            "/console/v0/me",
            "Who looks at which system",
            Me,
            parameters=READS,
            security=CONSOLE,
            tags=TAGS,
        )
    )
    async def console_me(self, request: Request) -> Response:
        who, place = self._access.reader(request), self._place
        now = now_ms()
        me = Me(
            schema_version=SCHEMA_VERSION,
            name=who.name,
            role=who.role,
            via=who.via,
            env=place.env,
            version=place.version,
            revision=place.revision,
            app_auth=place.app_auth,
            shows_releases=place.shows_releases,
            providers=[
                ProviderName(
                    provider_id=each.provider_id,
                    zh=each.name("zh"),
                    en=each.name("en"),
                    example_zh=each.example("zh"),
                    example_en=each.example("en"),
                    connected=each.base_url is not None,
                )
                for each in self._catalogue().providers
            ],
            now=now,
            act_token=self._access.act_token(who, now) if who.role == "act" else None,
        )
        return json_response(me, headers=NOT_KEPT)

    @serves(
        Operation(
            "GET",
            "/console/v0/sessions",
            "Sessions, newest activity first",
            Sessions,
            parameters=(_OF, limit_of(_MOST_SESSIONS), *READS),
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
            description="Without a user those of the newest 5,000 events.",
        )
    )
    async def console_sessions(self, request: Request) -> Response:
        self._access.reader(request)
        fields = requests.query(request)
        of = requests.text_field(fields, _OF.name) if fields.get(_OF.name) else None
        limit = requests.integer_field(fields, "limit", default=50, low=1, high=_MOST_SESSIONS)
        if of is not None:
            return json_response(await self._sessions(of, limit), headers=NOT_KEPT)
        async with self._looking:  # however many pages ask, it is looked up once in KEPT_SECONDS
            kept = self._kept.get(limit)
            if kept is None or time.monotonic() - kept[0] > KEPT_SECONDS:
                kept = time.monotonic(), encode(await self._sessions(None, limit))
                self._kept = {limit: kept}
        return Response(kept[1], media_type="application/json", headers=NOT_KEPT)

    async def _sessions(self, of: str | None, limit: int) -> Sessions:
        rows = await console.sessions(self._pool, of=of, limit=limit)
        found = [
            SessionSeen(
                session_id=row["session_id"],
                user_id=row["user_id"],
                seq=row["seq"],
                last_activity_at=ms(row["last_activity_at"]) or 0,
                created_at=ms(row["created_at"]) or 0,
                signed=row["signed"],
                memory=json.loads(row["memory"]),
                subject=row["subject"],
                successor_id=row["successor_id"],
                preview=row["preview"],
            )
            for row in rows
        ]
        return Sessions(schema_version=SCHEMA_VERSION, sessions=found)

    @serves(
        Operation(
            "GET",
            "/console/v0/timeline",
            "A slice of a session's timeline, whoever's it is",
            TimelineSlice,
            parameters=(_SESSION, _CURSOR, limit_of(_MOST_EVENTS), *READS),
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
        )
    )
    async def console_timeline(self, request: Request) -> Response:
        self._access.reader(request)
        fields = requests.query(request)
        session_id = requests.text_field(fields, _SESSION.name)
        cursor = requests.integer_field(fields, _CURSOR.name, default=0)
        limit = requests.integer_field(fields, "limit", default=_MOST_EVENTS, low=1, high=_MOST_EVENTS)
        page = await timeline.read(self._pool, session_id, cursor, limit)
        found = TimelineSlice(schema_version=SCHEMA_VERSION, events=page.events, more=page.more)
        return json_response(found, headers=NOT_KEPT)

    @serves(
        Operation(
            "POST",
            "/console/v0/stream-tickets",
            "A ticket to follow any session with at /v0/stream",
            StreamTicket,
            request=StreamTicketRequest,
            request_example=examples.STREAM_TICKET_REQUEST,
            response_example=examples.STREAM_TICKET,
            parameters=READS,
            security=CONSOLE,
            tags=TAGS,
            description="Good for one stream, within a minute.",
        )
    )
    async def console_stream_ticket(self, request: Request) -> Response:
        self._access.reader(request)
        asked = await requests.read_shape(request, StreamTicketRequest)
        ticket, expires_at = self._tickets.issue(asked.session_id, subject=None, ends_at_ms=None, now_ms=now_ms())
        return json_response(StreamTicket(ticket=ticket, expires_at=expires_at), headers=NOT_KEPT)
