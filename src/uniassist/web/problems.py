"""RFC 9457 problem details: the one rendering of every error that leaves a service."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import structlog
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION, Wire
from uniassist.contracts.codec import encode
from uniassist.errors import UniAssistError
from uniassist.web.operations import refusing_of
from uniassist.web.responses import json_response

log = structlog.get_logger()

PROBLEM_TYPE = "application/problem+json"
_TRACE_ID = "uniassist.trace_id"


class Problem(Wire, frozen=True):
    """RFC 9457 members, with the contract's `code`; `type` is a URN that says the same as `code`."""

    schema_version: str
    type: str
    title: str
    status: int
    code: str
    detail: str
    trace_id: str | None = None


class Internal(UniAssistError):
    """What a caller gets to see of a bug."""

    status, code, title = 500, "INTERNAL", "Internal error"


def set_trace_id(request: Request, trace_id: str) -> None:
    """Let whatever goes wrong with this request from here on carry its caller's traceId."""
    request.scope[_TRACE_ID] = trace_id


def problem_of(error: UniAssistError, trace_id: str | None = None) -> Problem:
    return Problem(
        schema_version=SCHEMA_VERSION,
        type=f"urn:uniassist:problem:{error.code.lower().replace('_', '-')}",
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        trace_id=error.trace_id or trace_id,
    )


def problem_response(
    error: UniAssistError, *, trace_id: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        encode(problem_of(error, trace_id)),
        status_code=error.status,
        headers={**error.headers, **(headers or {})},
        media_type=PROBLEM_TYPE,
    )


def answer_error(request: Request, error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to `error`. Of an unexpected one the caller learns a traceId, the log everything else."""
    trace_id: str | None = request.scope.get(_TRACE_ID)
    if isinstance(error, UniAssistError):
        return _refusal(request, error, trace_id, headers)
    trace_id = trace_id or uuid.uuid4().hex
    log.error(
        "unhandled exception",
        traceId=trace_id,
        method=request.scope["method"],
        path=request.scope["path"],
        exc_info=error,
    )
    internal = Internal("Something went wrong here; the traceId finds it in our log.", trace_id=trace_id)
    return _refusal(request, internal, trace_id, headers)


def _refusal(
    request: Request, error: UniAssistError, trace_id: str | None, headers: Mapping[str, str] | None
) -> Response:
    refusing = refusing_of(request)
    if refusing is None:
        return problem_response(error, trace_id=trace_id, headers=headers)
    return json_response(refusing.say(error), error.status, {**error.headers, **(headers or {})})
