"""`GET /v0/metrics`: the gateway's counters and the outbox's state as one JSON document."""

from __future__ import annotations

import asyncio
import time

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION, Int64, SchemaVersion, TimestampMs, Wire
from uniassist.errors import Unavailable
from uniassist.gateway.ids import now_ms
from uniassist.gateway.ledger import OUTAGE, Ledger
from uniassist.gateway.metrics import Metrics
from uniassist.store import outbox
from uniassist.store.pool import Pool
from uniassist.web.app import json_response

KEPT_SECONDS = 5.0


class IngestFigures(Wire, kw_only=True, frozen=True, omit_defaults=False):
    total: Int64
    error_total: Int64
    error_rate: float
    latency_p95_ms: float


class ProviderFigures(Wire, kw_only=True, frozen=True, omit_defaults=False):
    invoke_error_total: Int64
    interact_error_total: Int64


class PersistenceFigures(Wire, kw_only=True, frozen=True, omit_defaults=False):
    error_total: Int64


class OutboxFigures(Wire, kw_only=True, frozen=True, omit_defaults=False):
    """Rows by state. `backlogTotal` is what isn't on the streams yet; `retryRows` were tried more than once."""

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


class Figures(Wire, kw_only=True, frozen=True):
    ingest: IngestFigures
    provider: ProviderFigures
    persistence: PersistenceFigures
    outbox: OutboxFigures


class MetricsDocument(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    service: str
    timestamp_ms: TimestampMs
    metrics: Figures


class Overview:
    """Answers from counters; the outbox's counts are looked up at most every KEPT_SECONDS, whoever asks."""

    def __init__(self, pool: Pool, ledger: Ledger, metrics: Metrics) -> None:
        self._pool = pool
        self._ledger = ledger
        self._metrics = metrics
        self._kept: OutboxFigures | None = None
        self._kept_at = 0.0
        self._looking = asyncio.Lock()

    async def read(self, _request: Request) -> Response:
        metrics = self._metrics
        total, errors = metrics.ingest_total, metrics.ingest_errors
        figures = Figures(
            ingest=IngestFigures(
                total=total,
                error_total=errors,
                error_rate=round(errors / total, 6) if total else 0.0,
                latency_p95_ms=metrics.latency_p95_ms(),
            ),
            provider=ProviderFigures(
                invoke_error_total=metrics.call_errors["invoke"],
                interact_error_total=metrics.call_errors["interact"],
            ),
            persistence=PersistenceFigures(error_total=self._ledger.errors),
            outbox=await self._outbox(),
        )
        return json_response(
            MetricsDocument(
                schema_version=SCHEMA_VERSION, service="gateway", timestamp_ms=now_ms(), metrics=figures
            )
        )

    async def _outbox(self) -> OutboxFigures:
        async with self._looking:
            if self._kept is None or time.monotonic() - self._kept_at > KEPT_SECONDS:
                try:
                    counts = await outbox.counts(self._pool)
                except (*OUTAGE, asyncpg.PostgresError):
                    raise Unavailable("the database is away; try again") from None
                backlog = counts["pending"] + counts["processing"] + counts["failed"]
                self._kept = OutboxFigures(**counts, backlog_total=backlog)
                self._kept_at = time.monotonic()
            return self._kept
