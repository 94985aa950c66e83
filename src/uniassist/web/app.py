"""The app factory: a service's operations with health, metrics, OpenAPI, CORS and problem details around them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from prometheus_client import CollectorRegistry, ProcessCollector
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from uniassist.contracts.codec import encode
from uniassist.errors import InvalidRequest, MethodNotAllowed, NotFound
from uniassist.tracing import NO_SPANS, Spans
from uniassist.web.bodies import DEFAULT_BUDGET_BYTES, BodyBudget, body_of, hear_out, must_close
from uniassist.web.docs import docs_routes
from uniassist.web.health import HealthRegistry
from uniassist.web.health_metrics import HealthCollector
from uniassist.web.openapi import build_openapi
from uniassist.web.operations import Content, Handler, Operation, Served, served, set_operation
from uniassist.web.problems import answer_error
from uniassist.web.processes.place import Place
from uniassist.web.processes.scrapes import Scrapes
from uniassist.web.service_routes import BeforeMetrics, ServiceRoutes
from uniassist.web.traced import Traced

_EVENT_STREAM = "text/event-stream"
_LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
_EXPOSED_HEADERS = ("Retry-After", "traceparent")
# What answers a method of a path; the pages about the operations are none themselves.
_Method = tuple[Handler, Operation | None]
NO_PAGES: Mapping[str, Handler] = MappingProxyType({})


def create_app(
    *,
    service: str,
    version: str,
    operations: Sequence[Served],
    health: HealthRegistry,
    metrics: CollectorRegistry,
    cors_origins: Sequence[str] = (),
    cors_loopback: bool = False,
    spans: Spans = NO_SPANS,
    before_metrics: BeforeMetrics | None = None,
    body_budget_bytes: int = DEFAULT_BUDGET_BYTES,
    pages: Mapping[str, Handler] = NO_PAGES,
    place: Place | None = None,
    common_metrics: CollectorRegistry | None = None,
) -> Service:
    """A service as an ASGI app, without a lifespan: its `app.py` opens what it needs around `server.serve`.

    `operations`: what the service serves beside health and metrics.
    `metrics`: gets health's and the process's own added.
    `before_metrics`: awaited before the metrics are shown.
    `cors_origins`, `cors_loopback`: whose pages may call from their scripts; the second: those of this machine.
    `body_budget_bytes`: of all bodies under way at a time.
    `pages`: what people look at, by path; no operations.
    `place`: among the service's processes; None: it has no other.
    `common_metrics`: what is the same whichever process is asked.
    """
    budget = BodyBudget(body_budget_bytes, metrics)
    metrics.register(HealthCollector(health))
    ProcessCollector(registry=metrics)
    scrapes = Scrapes(place if place is not None else Place(), metrics, common_metrics)
    own = ServiceRoutes(health, scrapes, before_metrics) if before_metrics else ServiceRoutes(health, scrapes)
    everything = [*operations, *served(own)]

    @cache
    def document() -> bytes:
        return encode(build_openapi(service=service, version=version, operations=everything))

    async def openapi(_request: Request) -> Response:
        # Made for the first who asks, beside the loop: it is half of what a start costs, and few ask.
        return Response(await asyncio.to_thread(document), media_type="application/json")

    by_path: dict[str, dict[str, _Method]] = {}
    for each in everything:
        operation, methods = each.operation, by_path.setdefault(each.operation.path, {})
        assert operation.method not in methods, f"{operation.method} {operation.path} is declared twice"
        methods[operation.method] = each.handler, operation
        if operation.method == "GET" and not _streams(operation):
            methods.setdefault("HEAD", (each.handler, operation))
    for path, handler in {"/openapi.json": openapi, **docs_routes(service), **pages}.items():
        by_path[path] = dict.fromkeys(("GET", "HEAD"), (handler, None))
    endpoints: dict[str, ASGIApp] = {path: _Endpoint(methods) for path, methods in by_path.items()}
    if spans.recording:
        # Not health and metrics, which are asked all day, nor streams, which last for hours.
        traced = {each.operation.path for each in operations if not _streams(each.operation)}
        endpoints |= {path: Traced(endpoints[path], spans, path) for path in traced}
    return Service(
        _with_cors(_Paths(endpoints), cors_origins, _LOOPBACK if cors_loopback else None), budget, scrapes
    )


class Service:
    """An ASGI app with what its server must know of it.

    `bodies`: the budget of what arrives. `scrapes`: what the service's other processes are told.
    """

    def __init__(self, app: ASGIApp, bodies: BodyBudget, scrapes: Scrapes) -> None:
        self._app = app
        self.bodies = bodies
        self.scrapes = scrapes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Paths:
    """Picks a path's endpoint: a fixed path by one look-up, since the hot ones are fixed; others by their prefix.

    A parameter that ends its path takes the rest of it: ids may hold slashes, and servers decode %2F. So does one
    that only a verb follows, `tasks/{id}:cancel`.
    """

    def __init__(self, endpoints: Mapping[str, ASGIApp]) -> None:
        self._fixed = {path: endpoint for path, endpoint in endpoints.items() if "{" not in path}
        verbs = [path for path in endpoints if "}:" in path]
        ends = [path for path in endpoints if path.endswith("}")]
        self._open = [(*_open_end(path), endpoints[path]) for path in (*verbs, *ends)]
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
            for prefix, name, verb, candidate in self._open:
                if path.startswith(prefix) and path.endswith(verb) and len(path) > len(prefix) + len(verb):
                    scope["path_params"] = {name: path[len(prefix) : len(path) - len(verb)]}
                    endpoint = candidate
                    break
        await endpoint(scope, receive, send)


def _open_end(path: str) -> tuple[str, str, str]:
    """What is before the parameter, its name, and the verb behind it."""
    prefix, _, rest = path.partition("{")
    name, _, verb = rest.partition("}")
    assert not set("{/") & set(verb), f"{path}: only the last part of such a path may be a parameter"
    return prefix, name, verb


class _Endpoint:
    """A path as an ASGI app: picks the method's handler, and renders whatever it raises as problem details."""

    def __init__(self, methods: Mapping[str, _Method]) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive, send)
        handler, operation = self._methods.get(scope["method"], (self._refuse, None))
        body = body_of(scope)
        try:
            if operation is not None:
                set_operation(scope, operation)
            response = await handler(request)
        except ClientDisconnect:
            return
        except Exception as error:  # the outermost place: from here on there is only the wire
            await hear_out(request)
            response = answer_error(request, error, self._headers_with(request, error))
        finally:
            if body is not None:
                body.end()
        await response(scope, receive, send)

    async def _refuse(self, request: Request) -> Response:
        if "\ufffd" in request.scope["path"]:
            raise InvalidRequest("path: expected UTF-8, percent-encoded")
        if not self._methods:
            raise NotFound("path: nothing is served here; /docs lists what is")
        raise MethodNotAllowed(f"method: expected {self._allowed()}")

    def _headers_with(self, request: Request, error: Exception) -> dict[str, str]:
        allowed = {"Allow": self._allowed()} if isinstance(error, MethodNotAllowed) else {}
        return allowed | ({"Connection": "close"} if must_close(request) else {})

    def _allowed(self) -> str:
        return ", ".join(sorted(self._methods))


def _streams(operation: Operation) -> bool:
    return isinstance(operation.response, Content) and operation.response.media_type == _EVENT_STREAM


def _with_cors(app: ASGIApp, origins: Sequence[str], pattern: str | None) -> ASGIApp:
    """`pattern`: of further origins."""
    if not origins and pattern is None:
        return app
    with_cors = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_origin_regex=pattern,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("*",),
        expose_headers=_EXPOSED_HEADERS,
    )
    return _BrowsersOnly(app, with_cors) if "*" in origins else with_cors


class _BrowsersOnly:
    """Does the work of CORS for browsers only. Right as long as every origin gets the same answer."""

    def __init__(self, plain: ASGIApp, with_cors: ASGIApp) -> None:
        self._plain = plain
        self._with_cors = with_cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from_browser = any(name == b"origin" for name, _ in scope.get("headers", ()))
        await (self._with_cors if from_browser else self._plain)(scope, receive, send)
