"""A2A by HTTP+JSON, under `/a2a/`: the same tasks as by JSON-RPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import codec
from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.errors import InvalidRequest, RateLimited, Unavailable, UniAssistError
from uniassist.gateway.callers import APPS
from uniassist.gateway.fronts.a2a.faults import rest_refused
from uniassist.gateway.fronts.a2a.handling import A2A_VERSION, LAST_EVENT_ID, A2aTasks, Asker, check_version
from uniassist.gateway.fronts.a2a.reading import plain_frame
from uniassist.gateway.fronts.a2a.shapes import (
    EXAMPLE,
    MAX_HISTORY,
    ListParams,
    RestRefused,
    SendParams,
    StreamResponse,
    Task,
    TaskList,
    TaskParams,
)
from uniassist.web import requests
from uniassist.web.bodies import read_body
from uniassist.web.operations import Content, Operation, Parameter, Refusing, serves
from uniassist.web.responses import json_response
from uniassist.web.traced import TRACEPARENT

_TASK = Parameter("id", "path", required=True)
_WORD = {"type": "string", "maxLength": MAX_ID_LENGTH}  # empty: as none
_NUMBER = {"type": "integer", "minimum": 0, "maximum": MAX_HISTORY}
_HISTORY = Parameter("historyLength", "query", "So many of the newest messages; none: all.", schema=_NUMBER)
_PAGE = (
    Parameter("contextId", "query", schema=_WORD),
    Parameter("status", "query", schema=_WORD),
    Parameter("pageSize", "query", schema={"type": "integer", "minimum": 1, "maximum": 100}),
    Parameter("pageToken", "query", schema=_WORD),
    Parameter("includeArtifacts", "query", schema={"type": "boolean"}),
)
_STREAM = Content("text/event-stream")
_MESSAGE = EXAMPLE["params"]


def _operation(
    method: Any, path: str, summary: str, response: Any, *more: Parameter, sends: bool = False
) -> Operation:
    return Operation(
        method,
        f"/a2a/{path}",
        summary,
        response,
        request=SendParams if sends else None,
        request_example=_MESSAGE if sends else None,
        parameters=(*([_TASK] if "{id}" in path else []), *more, A2A_VERSION, TRACEPARENT),
        security=APPS,
        problems=(RateLimited, Unavailable),
        answers=((404, RestRefused),) if "{id}" in path or sends else (),
        tags=("a2a",),
        refusing=Refusing(RestRefused, rest_refused),
    )


class A2aRestRoutes:
    def __init__(self, tasks: A2aTasks) -> None:
        self._tasks = tasks

    @serves(_operation("POST", "message:send", "A2A's SendMessage", StreamResponse, sends=True))
    async def a2a_send(self, request: Request) -> Response:
        async def answer(asker: Asker) -> Response:
            params, size = await _sent(request)
            return json_response(await self._tasks.send(request, asker, params, size))

        return await self._answered(request, answer)

    @serves(_operation("POST", "message:stream", "A2A's SendStreamingMessage", _STREAM, sends=True))
    async def a2a_stream(self, request: Request) -> Response:
        async def answer(asker: Asker) -> Response:
            params, size = await _sent(request)
            return await self._tasks.send_streaming(request, asker, params, size, plain_frame)

        return await self._answered(request, answer)

    @serves(_operation("GET", "tasks/{id}:subscribe", "A2A's SubscribeToTask", _STREAM, LAST_EVENT_ID))
    async def a2a_subscribe(self, request: Request) -> Response:
        async def answer(asker: Asker) -> Response:
            return await self._tasks.subscribe(request, asker, requests.path_field(request, "id"), plain_frame)

        return await self._answered(request, answer)

    @serves(_operation("POST", "tasks/{id}:subscribe", "The same, as clients of 1.0 ask", _STREAM, LAST_EVENT_ID))
    async def a2a_subscribe_by_post(self, request: Request) -> Response:
        return await self.a2a_subscribe(request)

    @serves(_operation("POST", "tasks/{id}:cancel", "A2A's CancelTask", Task))
    async def a2a_cancel(self, request: Request) -> Response:
        async def answer(asker: Asker) -> Response:
            params = codec.convert({"id": requests.path_field(request, "id")}, TaskParams)
            return json_response(await self._tasks.cancel(request, asker, params))

        return await self._answered(request, answer)

    @serves(_operation("GET", "tasks", "A2A's ListTasks", TaskList, *_PAGE, _HISTORY))
    async def a2a_list(self, request: Request) -> Response:
        async def answer(asker: Asker) -> Response:
            return json_response(await self._tasks.listed(asker, codec.convert(_queried(request), ListParams)))

        return await self._answered(request, answer)

    @serves(_operation("GET", "tasks/{id}", "A2A's GetTask", Task, _HISTORY))
    async def a2a_get(self, request: Request) -> Response:
        async def answer(asker: Asker) -> Response:
            params = {"id": requests.path_field(request, "id"), **_queried(request)}
            return json_response(await self._tasks.get(asker, codec.convert(params, TaskParams)))

        return await self._answered(request, answer)

    async def _answered(self, request: Request, answer: Callable[[Asker], Awaitable[Response]]) -> Response:
        asker = await self._tasks.asker(request)
        try:
            check_version(request)
            return await answer(asker)
        except UniAssistError as error:
            if error.status in (401, 403, 429) or error.status >= 500:
                raise
            refused = rest_refused(error)
            return json_response(refused, refused.error.code)


async def _sent(request: Request) -> tuple[SendParams, int]:
    body = await read_body(request)
    return codec.decode(body, SendParams), len(body)


def _queried(request: Request) -> dict[str, Any]:
    """Numbers and truths as such."""
    found: dict[str, Any] = {}
    for name, value in requests.query(request).items():
        if name in ("pageSize", "historyLength"):
            found[name] = requests.integer(name, value)
        elif name == "includeArtifacts":
            if value not in ("true", "false"):
                raise InvalidRequest("includeArtifacts: expected true or false")
            found[name] = value == "true"
        else:
            found[name] = value
    return found
