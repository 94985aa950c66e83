"""Requests as spans: a server span around the endpoint, continued from `traceparent` and by what follows."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uniassist.tracing import Spans
from uniassist.web.operations import Parameter, operation_of

_OURS = "uniassist.traceparent"
# W3C Trace Context: version ff and ids of zeros only are invalid.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


TRACEPARENT = Parameter(
    "traceparent",
    "header",
    "W3C Trace Context: what the request is part of. One that isn't well-formed is ignored.",
    schema={"type": "string"},
    example="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)


def traceparent(request: Request) -> str | None:
    """The span that rows and calls of this request belong to: its own, else its caller's."""
    assert TRACEPARENT.name in operation_of(request).headers, "traceparent is read, but not declared"
    ours: str | None = request.scope.get(_OURS)
    return ours if ours is not None else _given(request.scope)


def _given(scope: Scope) -> str | None:
    """The caller's `traceparent`; None when it isn't well-formed or there twice, as the standard asks."""
    found = [value for name, value in scope["headers"] if name == b"traceparent"]
    return found[0].decode("ascii") if len(found) == 1 and _TRACEPARENT.fullmatch(found[0]) else None


class Traced:
    """An endpoint whose requests are spans.

    `route`: the path with its parameters' names, never their values.
    """

    def __init__(self, endpoint: ASGIApp, spans: Spans, route: str) -> None:
        self._endpoint = endpoint
        self._spans = spans
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        span = self._spans.begin(
            f"{method} {self._route}",
            "server",
            _given(scope),
            {"http.request.method": method, "http.route": self._route},
        )
        scope[_OURS] = span.traceparent
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._endpoint(scope, receive, noted)
        finally:
            error = None if 0 < status < 500 else f"answered {status}" if status else "no answer"
            span.end(error=error, attributes={"http.response.status_code": status} if status else None)
