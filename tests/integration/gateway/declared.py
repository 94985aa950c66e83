"""What the gateway's operations declare, held against every answer that a test gets."""

from __future__ import annotations

import re
from typing import Any

from uniassist.contracts import codec
from uniassist.errors import UniAssistError
from uniassist.gateway.client_routes import ClientRoutes
from uniassist.gateway.overview import Overview
from uniassist.gateway.provider_routes import ProviderRoutes
from uniassist.gateway.reading_routes import ReadingRoutes
from uniassist.web.calling.client import Answer
from uniassist.web.operations import Operation, declared
from uniassist.web.service_routes import ServiceRoutes

OPERATIONS = [
    operation
    for routes in (ClientRoutes, ReadingRoutes, ProviderRoutes, Overview, ServiceRoutes)
    for operation in declared(routes)
]
_FIELD = re.compile(r"\\{\w+\\}")
_PATTERNS = [
    (re.compile(_FIELD.sub(".+", re.escape(operation.path))), operation.method, operation)
    for operation in OPERATIONS
]
# The server's own answers to what it can't read as a request; any operation may get them.
_OF_THE_SERVER = (431,)


def check_declared(method: str, target: str, answer: Answer) -> None:
    """AssertionError for a status, a problem or a lacking Retry-After that the operation doesn't declare."""
    operation = operation_at(method, target.partition("?")[0])
    if operation is None or answer.status in (*_OF_THE_SERVER, 200, *(status for status, _ in operation.answers)):
        return
    problem: dict[str, Any] = codec.decode(answer.body, dict)
    known = [each for each in operation.refusals if (each.status, each.code) == (answer.status, problem["code"])]
    assert known, f"{method} {operation.path} answers {answer.status} {problem['code']}, but doesn't declare it"
    assert all(name.lower() in answer.headers for name in _promised_headers(known[0]))


def operation_at(method: str, path: str) -> Operation | None:
    """None: nothing is declared there, as for a path that doesn't exist."""
    return next((each for pattern, verb, each in _PATTERNS if verb == method and pattern.fullmatch(path)), None)


def _promised_headers(error: type[UniAssistError]) -> list[str]:
    return list(error("").headers)
