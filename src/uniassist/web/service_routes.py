"""What every service serves beside its own operations: health, liveness, Prometheus metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from uniassist.web.health import Health, HealthRegistry, Liveness
from uniassist.web.operations import Content, Operation, serves
from uniassist.web.processes.scrapes import Scrapes
from uniassist.web.responses import json_response

_TAGS = ("operations",)
BeforeMetrics = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return


class ServiceRoutes:
    """The operations that operators and the release tool ask of any service."""

    def __init__(self, health: HealthRegistry, scrapes: Scrapes, before_metrics: BeforeMetrics = _nothing) -> None:
        """`before_metrics`: brings up to date what can't be counted as it happens; raises nothing."""
        self._health = health
        self._scrapes = scrapes
        self._before_metrics = before_metrics

    @serves(
        Operation(
            "GET",
            "/health",
            "Whether the service can do its work",
            Health,
            response_example=Health(
                ok=True, service="gateway", version="0.1.0", revision="4f2c1d9", checks={"postgres": "ok"}
            ),
            answers=((503, Health),),
            tags=_TAGS,
        )
    )
    async def read_health(self, _request: Request) -> Response:
        state = self._health.read()
        return json_response(state, 200 if state.ok else 503)

    @serves(
        Operation(
            "GET",
            "/health/live",
            "Whether the process's loop runs",
            Liveness,
            response_example=Liveness(ok=True, service="gateway"),
            tags=_TAGS,
        )
    )
    async def read_liveness(self, _request: Request) -> Response:
        return json_response(Liveness(ok=True, service=self._health.service))

    @serves(
        Operation(
            "GET",
            "/metrics",
            "Prometheus metrics",
            Content("text/plain", description="Prometheus text format"),
            response_example="# TYPE uniassist_health gauge\nuniassist_health 1.0\n",
            tags=_TAGS,
        )
    )
    async def read_metrics(self, _request: Request) -> Response:
        await self._before_metrics()
        shown = await self._scrapes.text()
        return Response(shown, media_type=None, headers={"Content-Type": CONTENT_TYPE_LATEST})
