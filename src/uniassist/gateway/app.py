"""The gateway, wired: the one place of this service that reads settings."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from uniassist import VERSION, tracing
from uniassist.contracts.bounds import MAX_VALUES
from uniassist.gateway.bounds.bounds import Bounds, Limits
from uniassist.gateway.callers import GRANTED, Callers, Grant, Grants
from uniassist.gateway.calls import LEASE_SECONDS, Calls
from uniassist.gateway.client_routes import ClientRoutes
from uniassist.gateway.console.wiring import Console, Parts
from uniassist.gateway.erasures import Erasures
from uniassist.gateway.event_streams import Hub
from uniassist.gateway.fronts.wiring import fronts
from uniassist.gateway.hints import Hints
from uniassist.gateway.intake import Intake
from uniassist.gateway.live.board import Board
from uniassist.gateway.live.exchange import Exchange
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.operator_routes import OperatorRoutes
from uniassist.gateway.original_names import OriginalNames
from uniassist.gateway.overview import Overview
from uniassist.gateway.provider_routes import ProviderRoutes
from uniassist.gateway.providers.catalogue import DEFAULT_KIND
from uniassist.gateway.providers.kinds import chat_messages
from uniassist.gateway.providers.kinds.a2a import A2aKind
from uniassist.gateway.providers.kinds.a2a_pushes import Pushes
from uniassist.gateway.providers.kinds.chat_chunks import Usage
from uniassist.gateway.providers.kinds.chat_messages import Line
from uniassist.gateway.providers.kinds.kind import Kind
from uniassist.gateway.providers.kinds.openai import OpenAiKind
from uniassist.gateway.providers.kinds.uniassist import UniassistKind
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.push_routes import PushRoutes
from uniassist.gateway.reading_routes import ReadingRoutes
from uniassist.gateway.tickets import Tickets
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.gateway.turns.ids import new_id
from uniassist.lifecycle import Loop, Proof
from uniassist.settings import GatewaySettings, secret_files
from uniassist.settings.masking import masker_of
from uniassist.settings.variables import PLAN_TOKEN, REMINDER_TOKEN
from uniassist.store import calls as stored_calls
from uniassist.store import timeline
from uniassist.store.ledger import Rows
from uniassist.store.remotes import Remotes
from uniassist.store.server import proof as store_proof
from uniassist.store.server.pool import Pool, create_pool
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Layout
from uniassist.telemetry import configure_logging
from uniassist.tracing import Spans
from uniassist.web import bodies, server
from uniassist.web.app import NO_PAGES, Service, create_app
from uniassist.web.auth.app_keys import from_setting
from uniassist.web.auth.app_tokens import AppTokens
from uniassist.web.auth.key_set import StoredKeySet
from uniassist.web.auth.signing import FORMS
from uniassist.web.calling.client import JsonClient
from uniassist.web.client_address import ClientAddresses
from uniassist.web.health import HealthRegistry
from uniassist.web.operations import served
from uniassist.web.processes.place import Place

KEYS_KEPT = dt.timedelta(days=3)
PRUNE_SECONDS = 30.0
PRUNE_AGAIN_SECONDS = 0.5
LOCK_TIMEOUT = "2s"
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
DRAIN_SECONDS = 10
# To each server; of several processes each has its part of those to Postgres, which admits a hundred in all.
CONNECTIONS, LEAST_CONNECTIONS = 20, 6
HISTORY_LINES = 100  # of a session, for a chat; its entry's budget is in tokens


def main() -> None:
    server.run_processes("gateway", GatewaySettings.from_env, run)


async def run(settings: GatewaySettings, place: Place) -> None:
    configure_logging("gateway", settings.service.log_level)
    listener = server.listener_of(settings.service, place)
    owner = f"{socket.gethostname()}:{os.getpid()}:{new_id()[-8:]}"
    async with AsyncExitStack() as stack:
        spans = tracing.start(service="gateway", version=VERSION, is_configured=settings.service.traces)
        stack.push_async_callback(spans.stop)
        pool = await create_pool(
            settings.database_url.reveal(),
            application_name="uniassist-gateway",
            max_size=place.share(CONNECTIONS, least=LEAST_CONNECTIONS),
            # A session that someone holds costs its own inputs their answer, not all others; a gateway that was
            # stopped in mid-transaction (SIGSTOP, a frozen host) loses its locks.
            settings={
                "lock_timeout": LOCK_TIMEOUT,
                "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
            },
        )
        stack.push_async_callback(asyncio.wait_for, pool.close(), 5.0)
        layout = Layout.of(settings.streams)
        clients = LaneClients(settings.redis_url.reveal(), layout, max_connections=CONNECTIONS)
        stack.push_async_callback(clients.aclose)
        redis = clients.first
        # 0, no bound in common: one provider's calls would wait for another's. Each has its own `concurrency`.
        client = await stack.enter_async_context(JsonClient(connection_limit=0, answer_values=MAX_VALUES))
        app_tokens = await stack.enter_async_context(_app_tokens(settings, client))
        metrics = GatewayMetrics(place)
        prefix, board = settings.streams.prefix, Board()
        hub = Hub(pool, redis, prefix=prefix, board=board)
        pushes = _pushes(settings)
        a2a = A2aKind(Remotes(pool), pushes)
        stack.push_async_callback(a2a.close)
        kinds = _kinds(client, pool, metrics) | {"a2a": a2a}
        registry = _registry(settings, kinds, metrics)
        calls = Calls(
            pool=pool, kinds=kinds, board=board, registry=registry, owner=owner, metrics=metrics, spans=spans
        )
        hints = Hints(redis, prefix)
        exchange = Exchange(
            redis,
            prefix=prefix,
            owner=owner,
            board=board,
            is_followed=hub.is_followed,
            is_heard=hub.is_heard,
            on_stopped=calls.stop_asking,
            on_pushed=pushes.wake if pushes is not None else None,
        )
        hub.on_followed, hub.on_left, hub.on_text = exchange.follows, exchange.leaves, exchange.hear
        group_commit = GroupCommit(
            pool,
            owner=owner,
            queue_size=place.share(settings.ingest_queue_size),
            lease_seconds=LEASE_SECONDS,
            max_attempts=settings.outbox_max_attempts,
            spans=spans,
            after_commit=partial(_after_commit, hub, calls, hints, exchange),
            on_failed=metrics.commit_failed,
        )
        pruning = Loop("prune", partial(_prune, pool))
        health = await stack.enter_async_context(_health(settings, pool, clients, place))
        erasures = Erasures(pool, client, registry)
        operator = _operator(settings, pool, clients, erasures)
        pushed = [] if pushes is None else [PushRoutes(pushes, exchange.pushed)]
        console = _console(settings, Parts(pool, clients, metrics, calls, registry, health, client))
        app = _app(
            settings,
            pool,
            group_commit,
            hub,
            registry,
            metrics,
            health,
            spans,
            app_tokens,
            [*operator, *pushed],
            console,
            place,
        )
        hub.start()
        exchange.start()
        group_commit.start()
        calls.start(group_commit)
        pruning.start()
        registry.start()
        erasures.loop.start()
        if console is not None:
            console.sampling.loop.start()
        try:
            await server.serve(app, listener, on_stop=_closing(hub), drain_seconds=DRAIN_SECONDS, place=place)
        finally:
            if console is not None:
                await console.sampling.loop.stop(0)
            await pruning.stop()
            await erasures.loop.stop(0.5)
            await registry.stop()
            await calls.stop(deadline_seconds=DRAIN_SECONDS / 2)
            await group_commit.stop()
            await hub.stop()
            await hints.stop()
            await exchange.stop()


def _after_commit(hub: Hub, calls: Calls, hints: Hints, exchange: Exchange, rows: Rows) -> None:
    moved = {event.session_id: event.seq for event in rows.events}  # in seq order: the newest stays
    hub.wake(moved)
    calls.dispatch(rows.calls)
    # Of a run that may be asked anew the calls themselves: who hears of it late hangs up on no later one.
    in_vain = [run_id for run_id, status in rows.run_status if status == "cancelled"] + rows.stopped_calls
    if in_vain:
        calls.stop_asking(in_vain)
        exchange.stopped(in_vain)
    if moved:
        hints.give(moved)


def _closing(hub: Hub) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        hub.close_streams()

    return close


async def _prune(pool: Pool) -> float:
    more = await stored_calls.prune(pool, keys_older_than=KEYS_KEPT)
    return PRUNE_AGAIN_SECONDS if more else PRUNE_SECONDS


def _kinds(client: JsonClient, pool: Pool, metrics: GatewayMetrics) -> dict[str, Kind]:
    async def history(session_id: str, until: int) -> list[Line]:
        said = await timeline.said(
            pool, session_id, until, limit=HISTORY_LINES, longest=chat_messages.MAX_LINE_CHARACTERS
        )
        return [
            Line("person" if kind == "inbound" else "provider", text, provider) for kind, provider, text in said
        ]

    def used(provider_id: str, usage: Usage) -> None:
        metrics.chat_used(provider_id, usage.prompt_tokens, usage.completion_tokens)

    return {DEFAULT_KIND: UniassistKind(client), "openai": OpenAiKind(client, history, used)}


def _registry(settings: GatewaySettings, kinds: Mapping[str, Kind], metrics: GatewayMetrics) -> ProviderRegistry:
    return ProviderRegistry(
        settings.providers_file,
        base_urls={
            "UNIASSIST_PLAN_PROVIDER_BASE_URL": settings.plan_base_url,
            "UNIASSIST_REMINDER_PROVIDER_BASE_URL": settings.reminder_base_url,
        },
        tokens=_provider_tokens(settings),
        timeout_ms=settings.provider_timeout_ms,
        kinds=kinds,
        on_checked=metrics.provider_checked,
    )


def _provider_tokens(settings: GatewaySettings) -> dict[str, str | None]:
    """By variable. None: declared, and left empty, which the settings allow in dev and test."""
    given = secret_files.provider_tokens(os.environ)
    ours = {PLAN_TOKEN: settings.plan_token, REMINDER_TOKEN: settings.reminder_token}
    return given | {name: token.reveal() if token is not None else None for name, token in ours.items()}


def _pushes(settings: GatewaySettings) -> Pushes | None:
    if settings.public_url is None:
        return None
    return Pushes(settings.public_url, [secret.reveal() for secret in settings.adapter_secrets])


def _grants(settings: GatewaySettings, registry: ProviderRegistry) -> Grants:
    shared = Grant(settings.provider_context_token.reveal(), GRANTED)

    def grants() -> list[Grant]:
        own = [
            Grant(provider.access.token, provider.access.scopes, provider.provider_id)
            for provider in registry.catalogue.providers
            if provider.access is not None
        ]
        return [shared, *own]

    return grants


@asynccontextmanager
async def _app_tokens(settings: GatewaySettings, client: JsonClient) -> AsyncIterator[AppTokens | None]:
    """None: apps need no token. A key set is read as long as the gateway runs."""
    auth = settings.app_auth
    if auth is None:
        yield None
        return
    key_set = StoredKeySet(auth.key_set.reveal(), client) if auth.key_set is not None else None
    tokens = AppTokens(
        [from_setting(variable, key.reveal()) for variable, key in auth.keys.items()],
        key_set=key_set,
        issuer=auth.issuer,
        audience=auth.audience,
        user_claim=auth.user_claim,
        longest_seconds=auth.longest_hours * 3600,
    )
    if key_set is None:
        yield tokens
        return
    await key_set.start()
    try:
        yield tokens
    finally:
        await key_set.stop()


def _health(settings: GatewaySettings, pool: Pool, clients: LaneClients, place: Place) -> HealthRegistry:
    health = HealthRegistry(
        service="gateway",
        version=VERSION,
        revision=settings.service.revision,
        instance=settings.service.instance,
        env_digest=settings.service.env_digest,
        place=place,
    )

    health.required("postgres", Proof(partial(store_proof.prove_writing, pool, "sessions")))
    health.optional("redis", Proof(clients.prove_writing))
    return health


def _bounds(settings: GatewaySettings, pool: Pool) -> Bounds:
    user, address = (
        Limits(each.rate, each.streams, each.day_bytes, each.hour_sessions)
        for each in (settings.of_user, settings.of_address)
    )
    return Bounds(
        pool,
        user=user,
        address=address,
        unknown_streams=settings.unknown_streams,
        addresses=ClientAddresses(settings.trusted_proxies),
    )


def _operator(
    settings: GatewaySettings, pool: Pool, clients: LaneClients, erasures: Erasures
) -> list[OperatorRoutes]:
    """None without a token."""
    if settings.operator_token is None:
        return []
    token = settings.operator_token.reveal()
    return [OperatorRoutes(pool=pool, clients=clients, token=token, on_erased=erasures.loop.wake)]


def _console(settings: GatewaySettings, parts: Parts) -> Console | None:
    """None: it isn't served."""
    if settings.console is None:
        return None
    return Console.made(
        settings.console,
        parts,
        env=settings.service.env,
        revision=settings.service.revision,
        app_auth="jwt" if settings.app_auth is not None else "off",
        adapter_secrets=[secret.reveal() for secret in settings.adapter_secrets],
        proxies=ClientAddresses(settings.trusted_proxies),
        mask=masker_of(os.environ).mask_document,
    )


def _app(
    settings: GatewaySettings,
    pool: Pool,
    group_commit: GroupCommit,
    hub: Hub,
    registry: ProviderRegistry,
    metrics: GatewayMetrics,
    health: HealthRegistry,
    spans: Spans,
    app_tokens: AppTokens | None,
    others: Sequence[OperatorRoutes | PushRoutes],
    console: Console | None,
    place: Place,
) -> Service:
    secrets = tuple(secret.reveal() for secret in settings.adapter_secrets)
    forms = tuple(form for form in FORMS if form in settings.signatures)
    bounds = _bounds(settings, pool)
    callers = Callers(secrets, app_tokens, _grants(settings, registry), bounds, forms)
    intake = Intake(group_commit=group_commit, registry=registry, bounds=bounds)
    client_routes = ClientRoutes(intake=intake, metrics=metrics, callers=callers)
    reading_routes = ReadingRoutes(
        pool=pool, hub=hub, metrics=metrics, callers=callers, tickets=Tickets(secrets), bounds=bounds
    )
    provider_routes = ProviderRoutes(
        pool=pool,
        group_commit=group_commit,
        callers=callers,
        registry=registry,
        version=VERSION,
        proven=app_tokens is not None,
    )
    fronted = fronts(
        pool=pool,
        hub=hub,
        intake=intake,
        callers=callers,
        bounds=bounds,
        metrics=metrics,
        registry=registry,
        secret=secrets[0],
        version=VERSION,
        asks_for_token=app_tokens is not None,
    )
    overview, common = Overview(pool, metrics), CollectorRegistry()
    common.register(OriginalNames(overview))
    of_console = console.routes if console is not None else ()
    return create_app(
        service="gateway",
        version=VERSION,
        operations=served(
            client_routes,
            reading_routes,
            provider_routes,
            *fronted,
            overview,
            *others,
            *of_console,
        ),
        before_metrics=overview.refresh,
        health=health,
        metrics=metrics.registry,
        cors_origins=settings.cors_origins,
        cors_loopback=settings.cors_loopback,
        spans=spans,
        body_budget_bytes=place.share(settings.service.bodies_bytes, least=bodies.LEAST_BUDGET_BYTES),
        place=place,
        common_metrics=common,
        pages=console.pages if console is not None else NO_PAGES,
    )
