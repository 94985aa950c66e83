"""A service made of the web layer alone, for the tests to talk to as a process: `python sample.py PORT`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.errors import SessionNotFound, Unavailable
from uniassist.telemetry import configure_logging
from uniassist.web.app import create_app
from uniassist.web.health import HealthRegistry
from uniassist.web.operations import Content, Operation, Parameter, served, serves
from uniassist.web.problems import set_trace_id
from uniassist.web.requests import integer_field, path_field, query, read_shape, text_field
from uniassist.web.responses import json_response
from uniassist.web.server import listen, run, serve

SESSION = Parameter("sessionId", "query", required=True)
CURSOR = Parameter("cursor", "query", schema={"type": "integer", "minimum": 0, "maximum": 2**63 - 1})


class Sample:
    """`waiting`: requests that won't be answered before the service stops."""

    def __init__(self, metrics: CollectorRegistry) -> None:
        self.stopping = asyncio.Event()
        self.waiting = Gauge("sample_waiting", "Requests under way.", registry=metrics)

    @serves(
        Operation(
            "POST",
            "/v0/echo",
            "Say it again",
            UnifiedUserInput,
            request=UnifiedUserInput,
            problems=(SessionNotFound,),
        )
    )
    async def echo(self, request: Request) -> Response:
        given = await read_shape(request, UnifiedUserInput)
        set_trace_id(request, given.trace_id)
        if given.session_id == "boom":
            raise RuntimeError("a secret of the inside")
        if given.session_id == "unknown":
            raise SessionNotFound("sessionId: no such session of this user")
        return json_response(given)

    @serves(Operation("GET", "/v0/read", "Read", dict, parameters=(SESSION, CURSOR)))
    async def read(self, request: Request) -> Response:
        fields = query(request)
        return json_response(
            {"session": text_field(fields, "sessionId"), "cursor": integer_field(fields, "cursor", default=0)}
        )

    @serves(Operation("GET", "/v0/users/{profileRef}", "User", dict, parameters=(Parameter("profileRef", "path"),)))
    async def user(self, request: Request) -> Response:
        return json_response({"ref": path_field(request, "profileRef")})

    @serves(Operation("GET", "/v0/busy", "Busy", dict, problems=(Unavailable,)))
    async def busy(self, _request: Request) -> Response:
        raise Unavailable("the queue is full", retry_after_seconds=7)

    @serves(Operation("GET", "/v0/slow", "Slow", dict))
    async def slow(self, _request: Request) -> Response:
        self.waiting.inc()
        await self.stopping.wait()
        return json_response({"done": True})

    @serves(Operation("GET", "/v0/stream", "Stream", Content("text/event-stream")))
    async def stream(self, _request: Request) -> Response:
        async def frames() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            await self.stopping.wait()
            yield b"data: bye\n\n"

        return StreamingResponse(frames(), media_type="text/event-stream")

    async def close_streams(self) -> None:
        self.stopping.set()


async def main() -> None:
    configure_logging("sample")
    listener = listen("127.0.0.1", int(sys.argv[1]), port_variable="SAMPLE_PORT")
    metrics = CollectorRegistry()
    Counter("sample_things", "Things.", registry=metrics).inc()
    sample = Sample(metrics)
    health = HealthRegistry(service="sample", version="1.2.3", revision="abc")
    async with health:
        app = create_app(
            service="sample",
            version="1.2.3",
            operations=served(sample),
            health=health,
            metrics=metrics,
            cors_origins=["*"],
            body_budget_bytes=4 * 1024 * 1024,
        )
        await serve(app, listener, on_stop=sample.close_streams, drain_seconds=5)
    sys.stderr.write('{"event": "closed what was open"}\n')


if __name__ == "__main__":
    run(main)
