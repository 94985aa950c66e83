"""What an operator asks for on behalf of a person: all that is kept of them, and its erasure."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION, Id, Int64, SchemaVersion, Wire
from uniassist.errors import InvalidOperatorToken, Unavailable
from uniassist.store import people
from uniassist.store.server.pool import Pool
from uniassist.streams.copies import forget_streams
from uniassist.streams.lane_clients import LaneClients
from uniassist.web import requests
from uniassist.web.operations import Content, Credentials, Operation, bearer_scheme, serves
from uniassist.web.responses import json_response

log = structlog.get_logger()

OPERATORS = Credentials(
    ((bearer_scheme("operatorToken", "UNIASSIST_OPERATOR_TOKEN; without it these calls don't exist."),),),
    (InvalidOperatorToken,),
)
_TAGS = ("operations",)


class UserNamed(Wire, kw_only=True, frozen=True):
    """Whose data it is about."""

    schema_version: SchemaVersion
    user_id: Id


class UserErased(Wire, kw_only=True, frozen=True):
    """sessions: how many were emptied. media_files: those that the WeChat adapter still removes."""

    schema_version: SchemaVersion
    user_id: Id
    sessions: Int64
    media_files: Int64


_NAMED = UserNamed(schema_version=SCHEMA_VERSION, user_id="user-1")


class OperatorRoutes:
    """Served only where an operator's token is set."""

    def __init__(self, *, pool: Pool, clients: LaneClients, token: str, on_erased: Callable[[], None]) -> None:
        """`on_erased`: providers are to be told now."""
        self._pool = pool
        self._clients = clients
        self._token = token.encode()
        self._on_erased = on_erased

    @serves(
        Operation(
            "POST",
            "/v0/operator/user-exports",
            "All that is kept of a user",
            Content("application/x-ndjson", description="A JSON record a line"),
            request=UserNamed,
            request_example=_NAMED,
            response_example='{"record":"session","sessionId":"s-1"}',
            security=OPERATORS,
            problems=(Unavailable,),
            tags=_TAGS,
        )
    )
    async def export(self, request: Request) -> Response:
        self._check(request)
        asked = await requests.read_shape(request, UserNamed)
        return StreamingResponse(self._lines(asked.user_id), media_type="application/x-ndjson")

    @serves(
        Operation(
            "POST",
            "/v0/operator/user-erasures",
            "Erase what a user said and was told",
            UserErased,
            request=UserNamed,
            request_example=_NAMED,
            response_example=UserErased(schema_version=SCHEMA_VERSION, user_id="user-1", sessions=1, media_files=0),
            security=OPERATORS,
            problems=(Unavailable,),
            tags=_TAGS,
            description="Timelines keep their events' numbers, kinds and times; `erased` stands for the words.",
        )
    )
    async def erase(self, request: Request) -> Response:
        self._check(request)
        asked = await requests.read_shape(request, UserNamed)
        async with self._pool.acquire(timeout=5) as connection:
            erased = await people.erase(connection, asked.user_id)
        self._on_erased()
        await forget_streams(self._clients, erased.session_ids)
        log.info("a user's data erased", sessions=len(erased.session_ids))
        return json_response(
            UserErased(
                schema_version=SCHEMA_VERSION,
                user_id=asked.user_id,
                sessions=len(erased.session_ids),
                media_files=len(erased.media),
            )
        )

    def _check(self, request: Request) -> None:
        token = requests.bearer_token(request)
        if token is None or not hmac.compare_digest(token.encode(), self._token):
            raise InvalidOperatorToken("Authorization: expected Bearer and the operator's token")

    async def _lines(self, user_id: str) -> AsyncIterator[bytes]:
        async for record in people.export(self._pool, user_id):
            yield codec.encode(record) + b"\n"
