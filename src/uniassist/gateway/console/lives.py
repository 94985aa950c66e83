"""One message's whole life: its events, their rows of the outbox and entries on the streams, its provider calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.errors import NotFound, ServerFault, Unavailable
from uniassist.gateway.console import asked
from uniassist.gateway.console.access import CONSOLE, READS, Access
from uniassist.gateway.console.shapes import Delivery, Life, LifeAsked, LifeCall, LifeEvent, LifeRun, Replay, ms
from uniassist.gateway.console.talk import NOT_KEPT, TAGS
from uniassist.gateway.turns.ids import now_ms
from uniassist.store import console
from uniassist.store.console import Place
from uniassist.store.server.pool import Pool, Record
from uniassist.streams import lookup
from uniassist.streams.lane_clients import LaneClients
from uniassist.web import requests
from uniassist.web.operations import Operation, Parameter, serves
from uniassist.web.responses import json_response

MOST_EVENTS, LONGEST_PAYLOAD = 300, 64 * 1024
STREAM_SECONDS = 2.0
CLOCKS_MS = 2000  # how far the clocks of Postgres and Redis may be apart for an entry to be found
_OF = Parameter(
    "of",
    "query",
    "The id of an event, of a run, or of a trace; of the last only among the newest 20,000 events.",
    required=True,
    example="0195d0a4c1b27000a000000000000001",
)
Mask = Callable[[Any], Any]


class LifeRoutes:
    """`mask` takes secrets out of what is shown."""

    def __init__(self, *, access: Access, pool: Pool, clients: LaneClients, mask: Mask) -> None:
        self._access = access
        self._pool = pool
        self._clients = clients
        self._mask = mask

    @serves(
        Operation(
            "GET",
            "/console/v0/life",
            "A message's whole life, from its acceptance to its delivery",
            Life,
            parameters=(_OF, *READS),
            security=CONSOLE,
            problems=(NotFound, Unavailable),
            tags=TAGS,
            description="What isn't stored is absent: when an attempt failed, say. `asked` has each provider's "
            "call and its answer, put together of what is stored, secrets masked.",
        )
    )
    async def console_life(self, request: Request) -> Response:
        self._access.reader(request)
        wanted = requests.text_field(requests.query(request), _OF.name)
        place = await console.find(self._pool, wanted)
        if place is None:
            raise NotFound(
                f"of: no event, run or trace has this id (traces: of the newest {console.TRACES_AMONG:,} events)"
            )
        found = await console.life(self._pool, place, limit=MOST_EVENTS, longest=LONGEST_PAYLOAD)
        on_session, on_global, problem = await self._entries(place, found.events)
        contexts = {row["run_id"]: json.loads(row["context"] or "{}") for row in found.contexts}
        life = Life(
            schema_version=SCHEMA_VERSION,
            event_id=place.event_id,
            session_id=place.session_id,
            trace_id=place.trace_id,
            now=now_ms(),
            events=[self._event(row, found.replays, on_session, on_global) for row in found.events],
            runs=[_run(row) for row in found.runs],
            calls=[self._call(row) for row in found.calls],
            asked=[self._asked(each) for each in asked.asked(found.events, contexts, found.calls)],
            others=[row["trace_id"] for row in found.others],
            streams=problem,
        )
        return json_response(life, headers=NOT_KEPT)

    async def _entries(
        self, place: Place, events: Sequence[Record]
    ) -> tuple[dict[str, str], dict[str, str], str | None]:
        """By event, on the session's stream and on the global one; and why there are none."""
        published = [row for row in events if row["delivered_at"] is not None]
        if not published:
            return {}, {}, None
        first = min(ms(row["created_at"]) or 0 for row in published) - CLOCKS_MS
        last = max(ms(row["delivered_at"]) or 0 for row in published) + CLOCKS_MS
        lane, redis = self._clients.of_session(place.session_id)
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                on_session = await lookup.session_entries(
                    redis,
                    lane.session_key(place.session_id),
                    {row["seq"]: row["event_id"] for row in published},
                )
                on_global = await lookup.global_entries(
                    redis,
                    lane.global_key,
                    [row["event_id"] for row in published],
                    from_ms=first,
                    to_ms=last,
                )
        except ServerFault as fault:
            return {}, {}, fault.words
        except TimeoutError:
            return {}, {}, f"redis: no answer within {STREAM_SECONDS:.0f} s"
        return on_session, on_global, None

    def _event(
        self, row: Record, replays: Sequence[Record], on_session: dict[str, str], on_global: dict[str, str]
    ) -> LifeEvent:
        event_id = row["event_id"]
        return LifeEvent(
            event_id=event_id,
            seq=row["seq"],
            kind=row["kind"],
            at=row["timestamp_ms"],
            committed_at=ms(row["committed_at"]) or 0,
            payload=self._mask(row["payload"] if row["cut"] else json.loads(row["payload"])),
            cut=row["cut"],
            provider_id=row["provider_id"],
            run_id=row["run_id"],
            extension_kind=row["extension_kind"],
            outbox=_delivery(row) if row["outbox_id"] is not None else None,
            replays=[replay_of(each) for each in replays if each["event_id"] == event_id],
            session_entry=on_session.get(event_id),
            global_entry=on_global.get(event_id),
        )

    def _asked(self, each: LifeAsked) -> LifeAsked:
        return msgspec.structs.replace(each, request=self._mask(each.request), says=self._mask(each.says))

    def _call(self, row: Record) -> LifeCall:
        return LifeCall(
            call_id=row["call_id"],
            run_id=row["run_id"],
            provider_id=row["provider_id"],
            kind=row["kind"],
            attempt=row["attempt"],
            lease_owner=row["lease_owner"],
            lease_expires_at=ms(row["lease_expires_at"]) or 0,
            created_at=ms(row["created_at"]) or 0,
            request=self._mask(row["request"]),
        )


def replay_of(row: Record) -> Replay:
    return Replay(
        replay_token=row["replay_token"],
        previous_status=row["previous_status"],
        previous_attempts=row["previous_attempts"],
        at=ms(row["created_at"]) or 0,
        note=row["note"],
    )


def _delivery(row: Record) -> Delivery:
    return Delivery(
        id=row["outbox_id"],
        status=row["status"],
        attempts=row["attempts"],
        max_attempts=row["max_attempts"],
        last_error=row["last_error"],
        created_at=ms(row["created_at"]),
        locked_by=row["locked_by"],
        locked_at=ms(row["locked_at"]),
        next_retry_at=ms(row["next_retry_at"]) if row["status"] == "failed" else None,
        delivered_at=ms(row["delivered_at"]),
        consumed_at=ms(row["consumed_at"]),
        consumed_by=row["consumed_by"],
        epoch=row["epoch"],
        traceparent=row["traceparent"],
    )


def _run(row: Record) -> LifeRun:
    return LifeRun(
        run_id=row["run_id"],
        trace_id=row["trace_id"],
        provider_id=row["provider_id"],
        mode=row["mode"],
        routing_mode=row["routing_mode"],
        status=row["status"],
        created_at=ms(row["created_at"]) or 0,
        updated_at=ms(row["updated_at"]) or 0,
        score=row["score"],
        deadline_at=ms(row["deadline_at"]),
    )
