"""The query of a stream or a timeline, and Last-Event-ID: a line each."""

from __future__ import annotations

import contextlib

from starlette.requests import Request
from starlette.types import Scope

from uniassist.errors import InvalidRequest
from uniassist.gateway.reading_routes import ReadingRoutes
from uniassist.web import requests
from uniassist.web.operations import declared, set_operation

_STREAM = next(each for each in declared(ReadingRoutes) if each.path == "/v0/stream")
_MOST = 2**63 - 1
SEEDS = [
    b"sessionId=s-1&cursor=0\n12",
    b"sessionId=%E4%BD%A0%20%2B&cursor=9223372036854775807&other=1\n",
    b"ticket=abc-_&cursor=17\n9223372036854775807",
]
TOKENS = [
    *(
        b"sessionId=",
        b"cursor=",
        b"ticket=",
        b"&",
        b"=",
        b";",
        b"?",
        b"#",
        b"\n",
        b"%",
        b"%00",
        b"%0",
        b"%ff",
        b"%ed%a0%80",
        b"%26",
        b"+",
    ),
    *(
        b"0",
        b"9",
        b"-",
        b"+1",
        b" 1",
        b"_",
        b"1_0",
        b"00",
        b"1e3",
        b"0x1",
        b".",
        b"9223372036854775808",
        b"%D9%A1",
        b"\xd9\xa1",
        b"\xff",
        b"a&",
    ),
    *(b"a=1&", b"cursor=1&", b"\0", b"\t", b" "),
]


def check(raw: bytes) -> None:
    """Refused in its words, or a session's name and a number that Postgres can compare with."""
    query, _, last_event_id = raw.partition(b"\n")
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/v0/stream",
        "query_string": query,
        "headers": [(b"last-event-id", last_event_id)],
    }
    set_operation(scope, _STREAM)
    request = Request(scope)
    with contextlib.suppress(InvalidRequest):
        fields = requests.query(request)
        cursor = requests.integer_field(fields, "cursor", default=0)
        assert 0 <= cursor <= _MOST
        session_id = requests.text_field(fields, "sessionId")
        assert 1 <= len(session_id) <= 256
        assert b"\0" not in session_id.encode("utf-8")
    with contextlib.suppress(InvalidRequest):
        shown = requests.header(request, "Last-Event-ID", max_length=64)
        if shown:
            assert 0 <= requests.integer("Last-Event-ID", shown) <= _MOST
