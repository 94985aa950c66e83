"""The gateway, wired: the one place of this service that reads settings."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.types import ASGIApp

from uniassist import VERSION, tracing
from uniassist.gateway.callers import GRANTED, Callers, Grant, Grants
from uniassist.gateway.calls import LEASE_SECONDS, Calls
from uniassist.gateway.directory import Directory
from uniassist.gateway.hints import Hints
from uniassist.gateway.ids import new_id
from uniassist.gateway.ledger import Committed, Ledger
from uniassist.gateway.live import Hub
from uniassist.gateway.metrics import Metrics
from uniassist.gateway.operations import operations
from uniassist.gateway.overview import Overview
from uniassist.gateway.rate_limit import RateLimit
from uniassist.gateway.routes import Routes
from uniassist.lifecycle import Loop
from uniassist.settings import GatewaySettings
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX
from uniassist.store import calls as stored_calls
from uniassist.store.pool import Pool, create_pool
from uniassist.telemetry import configure_logging
from uniassist.tracing import Spans
from uniassist.web import server
from uniassist.web.app import create_app
from uniassist.web.app_tokens import AppTokens
from uniassist.web.client import JsonClient
from uniassist.web.health import HealthRegistry

KEYS_KEPT = dt.timedelta(days=3)
PRUNE_SECONDS = 30.0
PRUNE_AGAIN_SECONDS = 0.5
LOCK_TIMEOUT = "2s"
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
DRAIN_SECONDS = 10


def main() -> None:
    server.run(run)


async def run() -> None:
    settings = GatewaySettings.from_env()
    configure_logging("gateway", settings.service.log_level)
    listener = server.listen(
        settings.service.host, settings.service.port, port_variable=settings.service.port_variable
    )
    owner = f"{socket.gethostname()}:{os.getpid()}:{new_id()[-8:]}"
    async with AsyncExitStack() as stack:
        spans = tracing.start(service="gateway", version=VERSION, is_configured=settings.service.traces)
        stack.push_async_callback(spans.stop)
        pool = await create_pool(
            settings.database_url.reveal(),
            application_name="uniassist-gateway",
            max_size=20,
            # A session that someone holds costs its own inputs their answer, not all others; a gateway that was
            # stopped in mid-transaction (SIGSTOP, a frozen host) loses its locks.
            settings={
                "lock_timeout": LOCK_TIMEOUT,
                "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
            },
        )
        stack.push_async_callback(asyncio.wait_for, pool.close(), 5.0)
        redis = Redis.from_url(
            settings.redis_url.reveal(),
            socket_connect_timeout=2.0,
            socket_timeout=5.0,
            max_connections=20,
            # Once, for a connection that was dropped while idle; who waits longer for Redis has a loop for it.
            retry=Retry(NoBackoff(), 1),
        )
        stack.push_async_callback(redis.aclose)
        # 0, no bound in common: one provider's calls would wait for another's. Each has its own `concurrency`.
        client = await stack.enter_async_context(JsonClient(connection_limit=0))
        metrics = Metrics()
        hub = Hub(pool, redis, prefix=settings.streams.prefix, global_key=settings.streams.global_key)
        directory = _directory(settings, client, metrics)
        calls = Calls(pool=pool, client=client, directory=directory, owner=owner, metrics=metrics, spans=spans)
        hints = Hints(redis, settings.streams.prefix)
        ledger = Ledger(
            pool,
            owner=owner,
            queue_size=settings.ingest_queue_size,
            lease_seconds=LEASE_SECONDS,
            max_attempts=settings.outbox_max_attempts,
            spans=spans,
            after_commit=partial(_after_commit, hub, calls, hints),
        )
        pruning = Loop("prune", partial(_prune, pool))
        health = await stack.enter_async_context(_health(settings, pool, redis))
        app = _app(settings, pool, ledger, hub, directory, metrics, health, spans)
        hub.start()
        ledger.start()
        calls.start(ledger)
        pruning.start()
        directory.start()
        try:
            await server.serve(app, listener, on_stop=_closing(hub), drain_seconds=DRAIN_SECONDS)
        finally:
            await pruning.stop()
            await directory.stop()
            await calls.stop(deadline_seconds=DRAIN_SECONDS / 2)
            await ledger.stop()
            await hub.stop()
            await hints.stop()


def _after_commit(hub: Hub, calls: Calls, hints: Hints, committed: Committed) -> None:
    rows = committed.rows
    moved = {event.session_id: event.seq for event in rows.events}  # in seq order: the newest stays
    hub.wake(moved)
    calls.dispatch(rows.calls)
    if moved:
        hints.give(moved)


def _closing(hub: Hub) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        hub.close_streams()

    return close


async def _prune(pool: Pool) -> float:
    more = await stored_calls.prune(pool, keys_older_than=KEYS_KEPT)
    return PRUNE_AGAIN_SECONDS if more else PRUNE_SECONDS


def _directory(settings: GatewaySettings, client: JsonClient, metrics: Metrics) -> Directory:
    return Directory(
        settings.providers_file,
        base_urls={"UNIASSIST_PLAN_PROVIDER_BASE_URL": settings.plan_base_url},
        tokens={name: value for name, value in os.environ.items() if name.startswith(PROVIDER_TOKEN_PREFIX)},
        timeout_ms=settings.provider_timeout_ms,
        client=client,
        metrics=metrics,
    )


def _grants(settings: GatewaySettings, directory: Directory) -> Grants:
    shared = Grant(settings.provider_context_token.reveal(), GRANTED)

    def grants() -> list[Grant]:
        own = [
            Grant(provider.access.token, provider.access.scopes, provider.provider_id)
            for provider in directory.catalogue.providers
            if provider.access is not None
        ]
        return [shared, *own]

    return grants


def _app_tokens(settings: GatewaySettings) -> AppTokens | None:
    if settings.app_jwt_key is None:
        return None
    return AppTokens(settings.app_jwt_key.reveal(), settings.app_jwt_issuer, settings.app_jwt_audience)


def _health(settings: GatewaySettings, pool: Pool, redis: Redis) -> HealthRegistry:
    health = HealthRegistry(
        service="gateway",
        version=VERSION,
        revision=settings.service.revision,
        instance=settings.service.instance,
        env_digest=settings.service.env_digest,
    )

    async def postgres() -> None:
        # A schema that is missing shows here too; a service never makes it.
        await pool.fetchval("SELECT 1 FROM outbox_events LIMIT 1", timeout=0.8)

    health.required("postgres", postgres)
    health.optional("redis", redis.ping)
    return health


def _app(
    settings: GatewaySettings,
    pool: Pool,
    ledger: Ledger,
    hub: Hub,
    directory: Directory,
    metrics: Metrics,
    health: HealthRegistry,
    spans: Spans,
) -> ASGIApp:
    routes = Routes(
        pool=pool,
        ledger=ledger,
        hub=hub,
        directory=directory,
        metrics=metrics,
        callers=Callers(
            tuple(secret.reveal() for secret in settings.adapter_secrets),
            _app_tokens(settings),
            _grants(settings, directory),
        ),
        rate_limit=RateLimit(settings.rate_limit_per_user),
        version=VERSION,
    )
    return create_app(
        service="gateway",
        version=VERSION,
        operations=operations(routes, Overview(pool, ledger, metrics)),
        health=health,
        metrics=metrics.registry,
        cors_origins=settings.cors_origins,
        spans=spans,
    )
