"""A service made of the web layer alone, for the tests to talk to as a process: `python sample.py PORT`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.errors import SessionNotFound, Unavailable
from uniassist.telemetry import configure_logging
from uniassist.web.app import create_app, json_response
from uniassist.web.health import HealthRegistry
from uniassist.web.openapi import Content, Operation, Parameter
from uniassist.web.problems import set_trace_id
from uniassist.web.requests import integer_field, path_field, query, read_shape, text_field
from uniassist.web.server import listen, run, serve

INTEGER = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}


class Sample:
    def __init__(self) -> None:
        self.stopping = asyncio.Event()

    async def echo(self, request: Request) -> Response:
        given = await read_shape(request, UnifiedUserInput)
        set_trace_id(request, given.trace_id)
        if given.session_id == "boom":
            raise RuntimeError("a secret of the inside")
        if given.session_id == "unknown":
            raise SessionNotFound("sessionId: no such session of this user")
        return json_response(given)

    async def read(self, request: Request) -> Response:
        fields = query(request)
        return json_response(
            {"session": text_field(fields, "sessionId"), "cursor": integer_field(fields, "cursor", default=0)}
        )

    async def user(self, request: Request) -> Response:
        return json_response({"ref": path_field(request, "profileRef")})

    async def busy(self, _request: Request) -> Response:
        raise Unavailable("the queue is full", retry_after_seconds=7)

    async def slow(self, _request: Request) -> Response:
        await asyncio.sleep(0.5)
        return json_response({"done": True})

    async def stream(self, _request: Request) -> Response:
        async def frames() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            await self.stopping.wait()
            yield b"data: bye\n\n"

        return StreamingResponse(frames(), media_type="text/event-stream")

    async def close_streams(self) -> None:
        self.stopping.set()

    def operations(self) -> list[Operation]:
        session = Parameter("sessionId", "query", required=True)
        return [
            Operation(
                "POST",
                "/v0/echo",
                self.echo,
                "Say it again",
                response=UnifiedUserInput,
                request=UnifiedUserInput,
                problems=(SessionNotFound,),
            ),
            Operation(
                "GET",
                "/v0/read",
                self.read,
                "Read",
                response=dict,
                parameters=(session, Parameter("cursor", "query", schema=INTEGER)),
            ),
            Operation(
                "GET",
                "/v0/users/{profileRef}",
                self.user,
                "User",
                response=dict,
                parameters=(Parameter("profileRef", "path"),),
            ),
            Operation("GET", "/v0/busy", self.busy, "Busy", response=dict, problems=(Unavailable,)),
            Operation("GET", "/v0/slow", self.slow, "Slow", response=dict),
            Operation("GET", "/v0/stream", self.stream, "Stream", response=Content("text/event-stream")),
        ]


async def main() -> None:
    configure_logging("sample")
    listener = listen("127.0.0.1", int(sys.argv[1]), port_variable="SAMPLE_PORT")
    metrics = CollectorRegistry()
    Counter("sample_things", "Things.", registry=metrics).inc()
    sample = Sample()
    health = HealthRegistry(service="sample", version="1.2.3", revision="abc")
    async with health:
        app = create_app(
            service="sample",
            version="1.2.3",
            operations=sample.operations(),
            health=health,
            metrics=metrics,
            cors_origins=["*"],
        )
        await serve(app, listener, on_stop=sample.close_streams, drain_seconds=5)
    sys.stderr.write('{"event": "closed what was open"}\n')


if __name__ == "__main__":
    run(main)
