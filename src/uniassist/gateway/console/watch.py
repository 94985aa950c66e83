"""How everything is, and was during the last hour."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION, SchemaVersion, Wire
from uniassist.gateway.console.access import CONSOLE, READS, Access
from uniassist.gateway.console.sampling import EVERY_SECONDS, Now, Sample, Sampling
from uniassist.gateway.console.talk import NOT_KEPT, TAGS
from uniassist.web import requests
from uniassist.web.operations import Operation, Parameter, serves
from uniassist.web.responses import json_response

_SINCE = Parameter(
    "since",
    "query",
    "Only samples after this time (Unix milliseconds); else all of the hour.",
    schema={"type": "integer", "minimum": 0},
)


class Watched(Wire, frozen=True):
    """`now` absent: nothing was looked at yet. `every_seconds`: how often there is a new sample."""

    schema_version: SchemaVersion
    every_seconds: float
    samples: list[Sample]
    now: Now | None = None


class WatchRoutes:
    """Answers from what was sampled: a page that watches asks nobody else."""

    def __init__(self, *, access: Access, sampling: Sampling) -> None:
        self._access = access
        self._sampling = sampling

    @serves(
        Operation(
            "GET",
            "/console/v0/watch",
            "How everything is, with an hour of samples",
            Watched,
            parameters=(_SINCE, *READS),
            security=CONSOLE,
            tags=TAGS,
            description="This gateway's own counters, and the whole system's backlog, streams and services.",
        )
    )
    async def console_watch(self, request: Request) -> Response:
        self._access.reader(request)
        since = requests.integer_field(requests.query(request), _SINCE.name, default=0)
        watched = Watched(
            schema_version=SCHEMA_VERSION,
            every_seconds=EVERY_SECONDS,
            samples=[each for each in self._sampling.samples if each.at > since],
            now=self._sampling.now,
        )
        return json_response(watched, headers=NOT_KEPT)
