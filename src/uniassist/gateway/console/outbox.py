"""The outbox to look through, its dead letters to replay, delivery to pause; and what operators did so far."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, get_args

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.errors import InvalidRequest, NotFound, Unavailable
from uniassist.gateway.console.access import ACTS, CONSOLE, READS, Access, Who
from uniassist.gateway.console.lives import Mask, replay_of
from uniassist.gateway.console.shapes import (
    Acts,
    ActSeen,
    DeliveryControl,
    OutboxEvent,
    OutboxList,
    OutboxRow,
    Paused,
    Reasoned,
    ReplayAsked,
    ReplayDone,
    State,
    ms,
)
from uniassist.gateway.console.talk import NOT_KEPT, TAGS, limit_of
from uniassist.gateway.turns.ids import now_ms
from uniassist.store import console, delivery
from uniassist.store import outbox as store
from uniassist.store.console import Actor, Filter
from uniassist.store.server.pool import Pool, Record
from uniassist.web import requests
from uniassist.web.operations import Content, Operation, Parameter, serves
from uniassist.web.responses import json_response

log = structlog.get_logger()

MOST = 500
MOST_REPLAYED = 10_000
LONGEST_NOTE, SHORTEST_NOTE, LONGEST_ERROR = 500, 3, 200
_STATES = get_args(State)
_NUMBER = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_STATUS = Parameter("status", "query", "Only in this state.", schema={"type": "string", "enum": list(_STATES)})
_SESSION = Parameter("sessionId", "query", "Only of this session.")
_ERROR = Parameter(
    "error",
    "query",
    "Only with this in their last error; looked for in the newest 20,000 that fit otherwise.",
    schema={"type": "string", "minLength": 1, "maxLength": LONGEST_ERROR},
)
_OLDER = Parameter("olderThanSeconds", "query", "Only written so long ago.", schema=_NUMBER)
_BEFORE = Parameter("before", "query", "Only with a lower number: the next page.", schema=_NUMBER)
_EVENT = Parameter("eventId", "path", "The event.", required=True, example="0195d0a4c1b27000a000000000000001")
_WHY = Reasoned(schema_version=SCHEMA_VERSION, note="Redis is being moved")
_ASKED = ReplayAsked(schema_version=SCHEMA_VERSION, note="the stream was full", error="OOM", dry_run=True)


class OutboxRoutes:
    """`mask` takes secrets out of what is shown."""

    def __init__(self, *, access: Access, pool: Pool, mask: Mask) -> None:
        self._access = access
        self._pool = pool
        self._mask = mask

    @serves(
        Operation(
            "GET",
            "/console/v0/outbox",
            "Events on their way, newest first",
            OutboxList,
            parameters=(_STATUS, _SESSION, _ERROR, _OLDER, _BEFORE, limit_of(MOST), *READS),
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
        )
    )
    async def console_outbox(self, request: Request) -> Response:
        self._access.reader(request)
        fields = requests.query(request)
        limit = requests.integer_field(fields, "limit", default=50, low=1, high=MOST)
        before = requests.integer_field(fields, _BEFORE.name, default=0) or None
        rows = await console.list_outbox(self._pool, _filter(fields), before=before, limit=limit)
        found = OutboxList(
            schema_version=SCHEMA_VERSION,
            events=[_row(row) for row in rows],
            before=rows[-1]["id"] if len(rows) == limit else None,
            paused=await self._paused(),
        )
        return json_response(found, headers=NOT_KEPT)

    @serves(
        Operation(
            "GET",
            "/console/v0/outbox/{eventId}",
            "One event with all that is known of it, its payload and its replays",
            OutboxEvent,
            parameters=(_EVENT, *READS),
            security=CONSOLE,
            problems=(NotFound, Unavailable),
            tags=TAGS,
        )
    )
    async def console_outbox_event(self, request: Request) -> Response:
        self._access.reader(request)
        event_id = requests.path_field(request, _EVENT.name)
        async with self._pool.acquire(timeout=5) as connection:
            row, replays = await store.show(connection, event_id)
        if row is None:
            raise NotFound("eventId: no event of the outbox has this id")
        details = {name: _plain(value) for name, value in row.items() if name != "payload"}
        payload = json.loads(row["payload"]) if row["payload"] is not None else None
        found = OutboxEvent(
            schema_version=SCHEMA_VERSION,
            details=self._mask(details),
            replays=[replay_of(each) for each in replays],
            payload=self._mask(payload),
        )
        return json_response(found, headers=NOT_KEPT)

    @serves(
        Operation(
            "POST",
            "/console/v0/replays",
            "Move dead letters back to failed, due now; or only say which",
            ReplayDone,
            request=ReplayAsked,
            request_example=_ASKED,
            parameters=ACTS,
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
            description="All filters together; the oldest first. Without `dryRun: false` nothing is moved. An act "
            "needs a note. Repeated with the same `replayToken` it moves nothing twice.",
        )
    )
    async def console_replay(self, request: Request) -> Response:
        who = self._access.actor(request, now_ms())
        asked = await requests.read_shape(request, ReplayAsked)
        if not 1 <= asked.limit <= MOST_REPLAYED:
            raise InvalidRequest(f"limit: expected an integer from 1 to {MOST_REPLAYED}")
        if asked.error is not None and not 1 <= len(asked.error) <= LONGEST_ERROR:
            raise InvalidRequest(f"error: expected 1 to {LONGEST_ERROR} characters")
        actor = _actor(who, asked.note, is_needed=not asked.dry_run)
        token = asked.replay_token or f"replay-{uuid.uuid4()}"
        chosen = Filter(
            session_id=asked.session_id,
            event_id=asked.event_id,
            error=asked.error,
            older_than=_age("olderThanSeconds", asked.older_than_seconds),
        )
        events, done = await console.replay(
            self._pool,
            chosen,
            limit=asked.limit,
            token=token,
            reset_attempts=asked.reset_attempts,
            dry_run=asked.dry_run,
            actor=actor,
        )
        if not asked.dry_run:
            log.info("dead letters replayed", who=who.name, events=done.updated, replay_token=token)
        answer = ReplayDone(
            schema_version=SCHEMA_VERSION,
            replay_token=token,
            dry_run=asked.dry_run,
            selected=done.selected,
            inserted=done.inserted,
            updated=done.updated,
            events=events[:100],
        )
        return json_response(answer, headers=NOT_KEPT)

    @serves(
        Operation(
            "POST",
            "/console/v0/pause",
            "Stop delivery on all workers",
            DeliveryControl,
            request=Reasoned,
            request_example=_WHY,
            parameters=ACTS,
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
            description="What is on the streams is still confirmed; nobody's message is lost or refused.",
        )
    )
    async def console_pause(self, request: Request) -> Response:
        who = self._access.actor(request, now_ms())
        asked = await requests.read_shape(request, Reasoned)
        now = await console.pause(self._pool, _actor(who, asked.note, is_needed=True))
        log.info("delivery paused", who=who.name)
        return _control(now)

    @serves(
        Operation(
            "POST",
            "/console/v0/resume",
            "Go on with delivery",
            DeliveryControl,
            request=Reasoned,
            request_example=_WHY,
            parameters=ACTS,
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
        )
    )
    async def console_resume(self, request: Request) -> Response:
        who = self._access.actor(request, now_ms())
        asked = await requests.read_shape(request, Reasoned)
        now = await console.resume(self._pool, _actor(who, asked.note, is_needed=True))
        log.info("delivery resumed", who=who.name)
        return _control(now)

    @serves(
        Operation(
            "GET",
            "/console/v0/acts",
            "What operators did, newest first",
            Acts,
            parameters=(_BEFORE, limit_of(MOST), *READS),
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
        )
    )
    async def console_acts(self, request: Request) -> Response:
        self._access.reader(request)
        fields = requests.query(request)
        limit = requests.integer_field(fields, "limit", default=100, low=1, high=MOST)
        before = requests.integer_field(fields, _BEFORE.name, default=0) or None
        rows = await console.acts(self._pool, before=before, limit=limit)
        found = Acts(
            schema_version=SCHEMA_VERSION,
            acts=[_act(row) for row in rows],
            before=rows[-1]["id"] if len(rows) == limit else None,
        )
        return json_response(found, headers=NOT_KEPT)

    @serves(
        Operation(
            "GET",
            "/console/v0/acts.jsonl",
            "All that operators did, newest first",
            Content("application/x-ndjson", description="A JSON record a line"),
            parameters=READS,
            security=CONSOLE,
            problems=(Unavailable,),
            tags=TAGS,
        )
    )
    async def console_acts_export(self, request: Request) -> Response:
        self._access.reader(request)
        headers = NOT_KEPT | {"Content-Disposition": 'attachment; filename="operator-acts.jsonl"'}
        return StreamingResponse(self._lines(), media_type="application/x-ndjson", headers=headers)

    async def _lines(self) -> AsyncIterator[bytes]:
        async for row in console.all_acts(self._pool):
            yield codec.encode(_act(row)) + b"\n"

    async def _paused(self) -> Paused | None:
        async with self._pool.acquire(timeout=5) as connection:
            return paused_of(await delivery.control(connection))


def paused_of(control: Mapping[str, Any]) -> Paused | None:
    """None: delivery runs."""
    since = ms(control["paused_at"])
    return None if since is None else Paused(since=since, by=control["paused_by"], reason=control["reason"])


def _control(control: Mapping[str, Any]) -> Response:
    answer = DeliveryControl(schema_version=SCHEMA_VERSION, paused=paused_of(control))
    return json_response(answer, headers=NOT_KEPT)


def _actor(who: Who, note: str, *, is_needed: bool) -> Actor:
    said = note.strip()
    if (is_needed and len(said) < SHORTEST_NOTE) or len(said) > LONGEST_NOTE:
        raise InvalidRequest(f"note: expected why, in {SHORTEST_NOTE} to {LONGEST_NOTE} characters")
    return Actor(who.name, who.via, said)


def _filter(fields: dict[str, str]) -> Filter:
    status = fields.get(_STATUS.name) or None
    if status is not None and status not in _STATES:
        raise InvalidRequest(f"status: expected one of {', '.join(_STATES)}")
    error = fields.get(_ERROR.name) or None
    if error is not None and (len(error) > LONGEST_ERROR or "\0" in error):
        raise InvalidRequest(f"error: expected 1 to {LONGEST_ERROR} characters, without U+0000")
    seconds = requests.integer_field(fields, _OLDER.name, default=0) or None
    return Filter(
        status=status,
        session_id=requests.text_field(fields, _SESSION.name) if fields.get(_SESSION.name) else None,
        error=error,
        older_than=_age(_OLDER.name, seconds),
    )


def _age(name: str, seconds: int | None) -> dt.timedelta | None:
    if seconds is None:
        return None
    if not 1 <= seconds <= 10 * 366 * 24 * 3600:
        raise InvalidRequest(f"{name}: expected seconds, from 1 to ten years")
    return dt.timedelta(seconds=seconds)


def _row(row: Record) -> OutboxRow:
    return OutboxRow(
        id=row["id"],
        event_id=row["event_id"],
        session_id=row["session_id"],
        status=row["status"],
        attempts=row["attempts"],
        max_attempts=row["max_attempts"],
        last_error=row["last_error"],
        created_at=ms(row["created_at"]),
        next_retry_at=ms(row["next_retry_at"]) if row["status"] == "failed" else None,
        delivered_at=ms(row["delivered_at"]),
        consumed_at=ms(row["consumed_at"]),
        kind=row["kind"],
        seq=row["seq"],
        trace_id=row["trace_id"],
    )


def _act(row: Record) -> ActSeen:
    return ActSeen(
        id=row["id"],
        at=ms(row["at"]) or 0,
        who=row["who"],
        via=row["via"],
        act=row["act"],
        target=json.loads(row["target"]),
        note=row["note"],
        outcome=json.loads(row["outcome"]),
    )


def _plain(value: object) -> object:
    return ms(value) if isinstance(value, dt.datetime) else value
