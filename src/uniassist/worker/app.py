"""The worker, wired: the one place of this service that reads settings."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import AsyncExitStack

from uniassist import VERSION, tracing
from uniassist.delivery.engine import Engine, EngineSettings
from uniassist.delivery.engines import Engines
from uniassist.delivery.failures import Backoff
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.settings import WorkerSettings
from uniassist.store import delivery as store
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane, Layout
from uniassist.streams.trimming import HoldLimits
from uniassist.telemetry import configure_logging
from uniassist.web import server
from uniassist.web.app import create_app
from uniassist.web.health import HealthRegistry
from uniassist.worker.retention import Retention

DRAIN_SECONDS = 8


def main() -> None:
    server.run(run)


async def run() -> None:
    settings = WorkerSettings.from_env()
    configure_logging("worker", settings.service.log_level)
    listener = server.listen(
        settings.service.host, settings.service.port, port_variable=settings.service.port_variable
    )
    url, block_seconds = settings.redis_url.reveal(), settings.streams.block_ms / 1000
    async with AsyncExitStack() as stack:
        spans = tracing.start(service="worker", version=VERSION, is_configured=settings.service.traces)
        stack.push_async_callback(spans.stop)
        layout = Layout.of(settings.streams)
        pool = await store.create_pool(settings.database_url.reveal(), lanes=len(layout.lanes))
        stack.push_async_callback(asyncio.wait_for, pool.close(), 5.0)
        clients = await stack.enter_async_context(LaneClients(url, layout))
        readers = await stack.enter_async_context(LaneClients(url, layout, answer_seconds=block_seconds + 3.0))
        worker = f"{settings.streams.consumer}:{os.getpid()}:{secrets.token_hex(4)}"
        metrics = DeliveryMetrics()
        engine = Engines(
            [
                Engine(
                    pool,
                    redis,
                    readers.of(lane),
                    _engine_settings(settings, layout, lane),
                    worker=worker,
                    spans=spans,
                    metrics=metrics if lane is layout.lanes[0] else metrics.of_lane(),
                )
                for lane, redis in clients
            ]
        )
        health = HealthRegistry(
            service="worker",
            version=VERSION,
            revision=settings.service.revision,
            instance=settings.service.instance,
            env_digest=settings.service.env_digest,
        )
        health.required("postgres", engine.check_postgres)
        health.required("redis", engine.check_redis)
        health.required("delivery", engine.check_delivery)
        health.required("loops", engine.check_loops)
        health.optional("alone", engine.check_alone)
        await engine.refuse_taken_stream(2.0)
        retention = Retention(pool, days=settings.session_days, timeline_days=settings.timeline_days)
        engine.start()
        retention.loop.start()
        try:
            await engine.first_look(2.0)
            await stack.enter_async_context(health)
            app = create_app(
                service="worker", version=VERSION, operations=(), health=health, metrics=engine.metrics.registry
            )
            await server.serve(app, listener, drain_seconds=DRAIN_SECONDS)
        finally:
            await retention.loop.stop(2.0)
            await engine.stop(DRAIN_SECONDS)


def _engine_settings(settings: WorkerSettings, layout: Layout, lane: Lane) -> EngineSettings:
    streams, outbox = settings.streams, settings.outbox
    return EngineSettings(
        layout=layout,
        lane=lane,
        group=streams.group,
        consumer=streams.consumer,
        block_ms=streams.block_ms,
        read_count=streams.batch_size,
        session_hours=streams.session_hours,
        poll_ms=outbox.poll_ms,
        batch_size=outbox.batch_size,
        backoff=Backoff(outbox.backoff_base_ms, outbox.backoff_max_ms),
        retention_hours=outbox.retention_hours,
        hold_limits=HoldLimits(streams.others_max_age_seconds, streams.others_max_entries),
        prunes=lane is layout.lanes[0],
    )
