"""The app factory: a service's operations, with health, metrics, OpenAPI, CORS and problem details around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from uniassist.contracts.codec import encode
from uniassist.errors import InvalidRequest, MethodNotAllowed, NotFound, PayloadTooLarge
from uniassist.tracing import NO_SPANS, Spans
from uniassist.web.docs import docs_routes
from uniassist.web.health import Health, HealthRegistry, Liveness
from uniassist.web.health_metrics import HealthCollector
from uniassist.web.openapi import Content, Handler, Operation, build_openapi
from uniassist.web.problems import answer_error
from uniassist.web.traced import Traced

_EVENT_STREAM = "text/event-stream"
_EXPOSED_HEADERS = ("Retry-After", "traceparent")


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value`, a msgspec type or plain, as compact JSON."""
    return Response(encode(value), status, headers, "application/json")


def create_app(
    *,
    service: str,
    version: str,
    operations: Sequence[Operation],
    health: HealthRegistry,
    metrics: CollectorRegistry,
    cors_origins: Sequence[str] = (),
    spans: Spans = NO_SPANS,
) -> ASGIApp:
    """An ASGI app without a lifespan: whoever wires a service opens what it needs around `server.serve`."""
    metrics.register(HealthCollector(health))
    ProcessCollector(registry=metrics)
    everything = [*operations, *_own_operations(health, metrics)]
    document = encode(build_openapi(service=service, version=version, operations=everything))

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type="application/json")

    by_path: dict[str, dict[str, Handler]] = {}
    for operation in everything:
        methods = by_path.setdefault(operation.path, {})
        assert operation.method not in methods, f"{operation.method} {operation.path} is declared twice"
        methods[operation.method] = operation.handler
        if operation.method == "GET" and not _streams(operation):
            methods.setdefault("HEAD", operation.handler)
    for path, handler in {"/openapi.json": openapi, **docs_routes(service)}.items():
        by_path[path] = {"GET": handler, "HEAD": handler}
    endpoints: dict[str, ASGIApp] = {path: _Endpoint(methods) for path, methods in by_path.items()}
    if spans.recording:
        # Not health and metrics, which are asked all day, nor streams, which last for hours.
        traced = {operation.path for operation in operations if not _streams(operation)}
        endpoints |= {path: Traced(endpoints[path], spans, path) for path in traced}
    return _with_cors(_Paths(endpoints), cors_origins)


class _Paths:
    """Picks the endpoint: a fixed path by one look-up (the hot ones are fixed), any other through the router.

    A parameter that ends its path takes the rest of it: ids may hold slashes, and a server decodes %2F.
    """

    def __init__(self, endpoints: Mapping[str, ASGIApp]) -> None:
        self._fixed = {path: endpoint for path, endpoint in endpoints.items() if "{" not in path}
        self._open = [(*_open_end(path), endpoint) for path, endpoint in endpoints.items() if path.endswith("}")]
        self._router = Router(
            [Route(path, endpoint) for path, endpoint in endpoints.items() if "}/" in path],
            redirect_slashes=False,
            default=_Endpoint({}),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        endpoint: ASGIApp | None = self._fixed.get(path)
        if endpoint is None:
            endpoint = self._router
            for prefix, name, candidate in self._open:
                if path.startswith(prefix) and path != prefix:
                    scope["path_params"] = {name: path[len(prefix) :]}
                    endpoint = candidate
                    break
        await endpoint(scope, receive, send)


def _open_end(path: str) -> tuple[str, str]:
    prefix, _, name = path.removesuffix("}").partition("{")
    assert "}" not in prefix + name, f"{path}: only the last part of such a path may be a parameter"
    return prefix, name


class _Endpoint:
    """A path as an ASGI app: picks the method's handler and renders every error, so that none leaves bare."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive, send)
        handler = self._handlers.get(scope["method"], self._refuse)
        try:
            response = await handler(request)
        except ClientDisconnect:
            return
        except Exception as error:  # the outermost place: from here on there is only the wire
            response = answer_error(request, error, self._headers_with(error))
        await response(scope, receive, send)

    async def _refuse(self, request: Request) -> Response:
        if "\ufffd" in request.scope["path"]:
            raise InvalidRequest("path: expected UTF-8, percent-encoded")
        if not self._handlers:
            raise NotFound("path: nothing is served here; /docs lists what is")
        raise MethodNotAllowed(f"method: expected {self._allowed()}")

    def _headers_with(self, error: Exception) -> dict[str, str]:
        if isinstance(error, MethodNotAllowed):
            return {"Allow": self._allowed()}
        if isinstance(error, PayloadTooLarge):
            return {"Connection": "close"}  # the rest of the body is still on its way
        return {}

    def _allowed(self) -> str:
        return ", ".join(sorted(self._handlers))


def _own_operations(health: HealthRegistry, metrics: CollectorRegistry) -> list[Operation]:
    async def read_health(_request: Request) -> Response:
        state = health.read()
        return json_response(state, 200 if state.ok else 503)

    async def read_liveness(_request: Request) -> Response:
        return json_response(Liveness(ok=True, service=health.service))

    async def read_metrics(_request: Request) -> Response:
        return Response(generate_latest(metrics), media_type=None, headers={"Content-Type": CONTENT_TYPE_LATEST})

    tags = ("operations",)
    return [
        Operation(
            method="GET",
            path="/health",
            handler=read_health,
            summary="Whether the service can do its work",
            response=Health,
            answers=((503, Health),),
            tags=tags,
        ),
        Operation(
            method="GET",
            path="/health/live",
            handler=read_liveness,
            summary="Whether the process's loop runs",
            response=Liveness,
            tags=tags,
        ),
        Operation(
            method="GET",
            path="/metrics",
            handler=read_metrics,
            summary="Prometheus metrics",
            response=Content("text/plain", description="Prometheus text format"),
            tags=tags,
        ),
    ]


def _streams(operation: Operation) -> bool:
    return isinstance(operation.response, Content) and operation.response.media_type == _EVENT_STREAM


def _with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    if not origins:
        return app
    with_cors = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("*",),
        expose_headers=_EXPOSED_HEADERS,
    )
    return _BrowsersOnly(app, with_cors) if "*" in origins else with_cors


class _BrowsersOnly:
    """Spares other clients the work that only browsers need; right while every origin gets the same answer."""

    def __init__(self, plain: ASGIApp, with_cors: ASGIApp) -> None:
        self._plain = plain
        self._with_cors = with_cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from_browser = any(name == b"origin" for name, _ in scope.get("headers", ()))
        await (self._with_cors if from_browser else self._plain)(scope, receive, send)
