"""A declaration binds its handler: what isn't declared can't be read."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from uniassist.web import requests
from uniassist.web.auth import signing
from uniassist.web.operations import (
    Credentials,
    Operation,
    Parameter,
    declared,
    header_scheme,
    served,
    serves,
    set_operation,
)
from uniassist.web.traced import TRACEPARENT, traceparent


def asked(operation: Operation, *, headers: tuple[tuple[bytes, bytes], ...] = (), query: bytes = b"") -> Request:
    request = Request({"type": "http", "headers": list(headers), "query_string": query})
    set_operation(request.scope, operation)
    return request


def get(**fields: Any) -> Operation:
    return Operation("GET", "/v0/things", "Things", dict, **fields)


def test_a_header_that_is_not_declared_cannot_be_read() -> None:
    headers = ((b"x-limit", b"3"), (b"authorization", b"Bearer t"), (b"traceparent", b"00-1-2-01"))
    silent = asked(get(), headers=headers)
    with pytest.raises(AssertionError, match="GET /v0/things reads X-Limit"):
        requests.header(silent, "X-Limit")
    with pytest.raises(AssertionError, match="authorization"):
        requests.bearer_token(silent)
    with pytest.raises(AssertionError, match="declares no signature"):
        requests.signature_headers(silent)
    with pytest.raises(AssertionError, match="traceparent"):
        traceparent(silent)


def test_a_declared_header_is_read_whatever_its_case() -> None:
    schemes = tuple(header_scheme(name, name.upper(), "One of three.") for name in signing.HEADERS)
    operation = get(parameters=(Parameter("X-Limit", "header"), TRACEPARENT), security=Credentials((schemes,)))
    request = asked(operation, headers=((b"x-limit", b"3"),))
    assert requests.header(request, "x-limit") == "3"
    assert list(requests.signature_headers(request)) == [(b"x-limit", b"3")]
    assert traceparent(request) is None


def test_a_query_field_that_is_not_declared_is_not_there() -> None:
    request = asked(get(parameters=(Parameter("cursor", "query"),)), query=b"cursor=1&page=2")
    assert requests.query(request) == {"cursor": "1"}


def test_the_fields_of_a_path_are_declared() -> None:
    with pytest.raises(AssertionError, match="runId"):
        Operation("GET", "/v0/runs/{runId}", "A run", dict)
    with pytest.raises(AssertionError, match="runId"):
        get(parameters=(Parameter("runId", "path"),))


class Things:
    @serves(Operation("GET", "/v0/second", "Second", dict))
    async def second(self, _request: Request) -> Response:
        return Response(b"second")

    async def helper(self, _request: Request) -> Response:
        return Response()

    @serves(Operation("GET", "/v0/first", "First", dict))
    async def first(self, _request: Request) -> Response:
        return Response(b"first")


async def test_a_class_of_routes_serves_what_its_methods_declare_in_their_order() -> None:
    things = Things()
    bound = served(things)
    assert [(each.operation.path, each.name) for each in bound] == [
        ("/v0/second", "second"),
        ("/v0/first", "first"),
    ]
    assert [each.operation for each in bound] == declared(Things)
    answers = [await each.handler(asked(each.operation)) for each in bound]
    assert [bytes(answer.body) for answer in answers] == [b"second", b"first"]
