"""`GET /v0/metrics`: the gateway's counters and the outbox's state as one JSON document."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION, Int64, SchemaVersion, TimestampMs, Wire
from uniassist.errors import ServerFault, Unavailable
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.turns.ids import now_ms
from uniassist.store import outbox
from uniassist.store.server.pool import Pool
from uniassist.web.operations import Operation, serves
from uniassist.web.responses import json_response

KEPT_SECONDS = 5.0


class IngestMetrics(Wire, kw_only=True, frozen=True, omit_defaults=False):
    total: Int64
    error_total: Int64
    error_rate: float
    latency_p95_ms: float


class ProviderMetrics(Wire, kw_only=True, frozen=True, omit_defaults=False):
    invoke_error_total: Int64
    interact_error_total: Int64


class PersistenceMetrics(Wire, kw_only=True, frozen=True, omit_defaults=False):
    error_total: Int64


class OutboxCounts(Wire, kw_only=True, frozen=True, omit_defaults=False):
    """Rows by state.

    `backlog_total`: those that aren't on the streams yet.
    `retry_rows`: those that were tried more than once.
    """

    pending: Int64
    processing: Int64
    failed: Int64
    delivered: Int64
    consumed: Int64
    dead_letter: Int64
    attempts_total: Int64
    retry_rows: Int64
    oldest_backlog_age_ms: Int64
    backlog_total: Int64


class MetricsByArea(Wire, kw_only=True, frozen=True):
    ingest: IngestMetrics
    provider: ProviderMetrics
    persistence: PersistenceMetrics
    outbox: OutboxCounts


class MetricsDocument(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    service: str
    timestamp_ms: TimestampMs
    metrics: MetricsByArea


_EXAMPLE = MetricsDocument(
    schema_version=SCHEMA_VERSION,
    service="gateway",
    timestamp_ms=1_772_323_200_000,
    metrics=MetricsByArea(
        ingest=IngestMetrics(total=120, error_total=3, error_rate=0.025, latency_p95_ms=4.2),
        provider=ProviderMetrics(invoke_error_total=1, interact_error_total=0),
        persistence=PersistenceMetrics(error_total=0),
        outbox=OutboxCounts(
            pending=0,
            processing=2,
            failed=0,
            delivered=1,
            consumed=640,
            dead_letter=0,
            attempts_total=0,
            retry_rows=0,
            oldest_backlog_age_ms=12,
            backlog_total=2,
        ),
    ),
)


class Overview:
    """Answers from counters. The outbox's counts are looked up once in KEPT_SECONDS at most, whoever asks."""

    def __init__(self, pool: Pool, metrics: GatewayMetrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._kept: OutboxCounts | None = None
        self._kept_at = 0.0
        self._looking = asyncio.Lock()

    @serves(
        Operation(
            "GET",
            "/v0/metrics",
            "Counters and the outbox's state as JSON",
            MetricsDocument,
            response_example=_EXAMPLE,
            problems=(Unavailable,),
            tags=("operations",),
        )
    )
    async def read(self, _request: Request) -> Response:
        figures = self._figures(await self._outbox())
        return json_response(
            MetricsDocument(
                schema_version=SCHEMA_VERSION, service="gateway", timestamp_ms=now_ms(), metrics=figures
            )
        )

    async def refresh(self) -> None:
        """Look at the outbox, unless that was done just now. Without a database what was seen last stays."""
        try:
            await self._outbox()
        except ServerFault:
            return

    @property
    def last(self) -> MetricsByArea | None:
        """Counted now, with the outbox as it was seen last; None: it was never seen."""
        return self._figures(self._kept) if self._kept is not None else None

    def _figures(self, counts: OutboxCounts) -> MetricsByArea:
        metrics = self._metrics
        total, errors = metrics.ingest_total, metrics.ingest_errors
        return MetricsByArea(
            ingest=IngestMetrics(
                total=total,
                error_total=errors,
                error_rate=round(errors / total, 6) if total else 0.0,
                latency_p95_ms=metrics.latency_p95_ms(),
            ),
            provider=ProviderMetrics(
                invoke_error_total=metrics.call_errors("invoke"),
                interact_error_total=metrics.call_errors("interact"),
            ),
            persistence=PersistenceMetrics(error_total=metrics.persistence_errors),
            outbox=counts,
        )

    async def _outbox(self) -> OutboxCounts:
        async with self._looking:
            if self._kept is None or time.monotonic() - self._kept_at > KEPT_SECONDS:
                counts = await outbox.counts(self._pool)
                backlog = counts["pending"] + counts["processing"] + counts["failed"]
                self._kept = OutboxCounts(**counts, backlog_total=backlog)
                self._kept_at = time.monotonic()
            return self._kept
