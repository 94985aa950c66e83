"""adapter-wechat, wired: the one place of this service that reads settings."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from uniassist import VERSION
from uniassist.adapter_wechat.crypto.envelope import EnvelopeCipher
from uniassist.adapter_wechat.gateway_client import GatewayClient
from uniassist.adapter_wechat.inbound.answering import Inbound
from uniassist.adapter_wechat.inbound.deliveries import Deliveries
from uniassist.adapter_wechat.inbound.erasure import Erasure
from uniassist.adapter_wechat.inbound.routes import WebhookRoutes
from uniassist.adapter_wechat.media.fetching import Media
from uniassist.adapter_wechat.media.retention import Retention
from uniassist.adapter_wechat.media.storage import MediaStore
from uniassist.adapter_wechat.metrics import ChannelMetrics
from uniassist.adapter_wechat.outbound.permission import Permission
from uniassist.adapter_wechat.outbound.reports import Reporter
from uniassist.adapter_wechat.outbound.sender import Sender
from uniassist.adapter_wechat.outbound.stream_reader import BLOCK_MS, StreamReader
from uniassist.adapter_wechat.platform.client import Platform
from uniassist.adapter_wechat.platform.token import TokenKeeper
from uniassist.errors import SettingsError
from uniassist.lifecycle import Loop, Proof
from uniassist.settings import AdapterWechatSettings, WechatAccountSettings
from uniassist.store.server import proof as store_proof
from uniassist.store.server.pool import Pool, create_pool
from uniassist.streams.group import WECHAT_GROUP, Group
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Layout
from uniassist.telemetry import configure_logging
from uniassist.web import server
from uniassist.web.app import create_app
from uniassist.web.calling.client import JsonClient
from uniassist.web.calling.foreign import AllowedHosts, ForeignUrls
from uniassist.web.health import HealthRegistry
from uniassist.web.operations import served

log = structlog.get_logger()

DRAIN_SECONDS = 10
_MEDIA_BYTES = 24 * 1024 * 1024  # above the largest that people can send


def main() -> None:
    server.run(run)


async def run() -> None:
    settings = AdapterWechatSettings.from_env()
    service = settings.service
    configure_logging("adapter-wechat", service.log_level)
    envelope = _envelope(settings.account)
    files = MediaStore(settings.media_dir)
    listener = server.listen(service.host, service.port, port_variable=service.port_variable)
    metrics = ChannelMetrics(CollectorRegistry())
    async with AsyncExitStack() as stack:
        channel = await _wired(settings, files, metrics, stack)
        routes = WebhookRoutes(
            inbound=channel.inbound,
            token=settings.account.token.reveal(),
            envelope=envelope,
            entrance=settings.json_entrance,
            metrics=metrics.registry,
        )
        app = create_app(
            service="adapter-wechat",
            version=VERSION,
            operations=served(routes),
            health=await stack.enter_async_context(_health(settings, channel)),
            metrics=metrics.registry,
            body_budget_bytes=settings.service.bodies_bytes,
        )
        async with _at_work(channel):
            await server.serve(app, listener, drain_seconds=DRAIN_SECONDS)


@dataclass(frozen=True)
class _Channel:
    """What works in this process. media: None without an app id and its secret. loops: all but the sender's."""

    pool: Pool
    clients: LaneClients
    gateway: GatewayClient
    reader: StreamReader
    sender: Sender
    deliveries: Deliveries
    media: Media | None
    inbound: Inbound
    loops: Sequence[Loop]


async def _wired(
    settings: AdapterWechatSettings, files: MediaStore, metrics: ChannelMetrics, stack: AsyncExitStack
) -> _Channel:
    # All statements go by a person's key: planning each for its values costs more than it saves.
    pool = await create_pool(
        settings.database_url.reveal(),
        application_name="uniassist-wechat",
        max_size=20,
        settings={"plan_cache_mode": "force_generic_plan", "jit": "off"},
    )
    stack.push_async_callback(asyncio.wait_for, pool.close(), 5.0)
    clients = LaneClients(
        settings.redis_url.reveal(), Layout.of(settings.streams), answer_seconds=BLOCK_MS / 1000 + 3.0
    )
    stack.push_async_callback(clients.aclose)
    # A host that is silently away shows before a send's deadline, while it is certain that nothing was sent.
    client = await stack.enter_async_context(JsonClient(connection_limit=500, connect_seconds=3.0))
    gateway = GatewayClient(
        client,
        settings.gateway_url,
        adapter_secret=settings.adapter_secret.reveal(),
        token=settings.provider_context_token.reveal(),
    )
    permission = Permission(await _platform(settings, client, stack))
    owner = f"{settings.streams.consumer}:{os.getpid()}:{secrets.token_hex(4)}"
    sender = Sender(pool, permission, metrics, owner=owner, limit_bytes=settings.text_bytes)
    groups = [
        (redis, Group(redis, key=lane.global_key, name=WECHAT_GROUP, consumer=settings.streams.consumer))
        for lane, redis in clients
    ]
    reader = StreamReader(pool, groups, sender.loop.wake)
    deliveries = Deliveries()
    media = Media(pool, permission.platform, files, metrics) if permission.platform is not None else None
    erasure = Erasure(pool, clients, files, deliveries)
    inbound = Inbound(
        pool,
        gateway,
        deliveries,
        permission,
        media,
        erasure,
        limit_bytes=settings.text_bytes,
        wake=sender.loop.wake,
    )
    loops = [
        *reader.loops,
        Reporter(pool, gateway, metrics).loop,
        Retention(pool, files, days=settings.media_days).loop,
    ]
    if media is not None:
        loops.append(media.loop)
    return _Channel(pool, clients, gateway, reader, sender, deliveries, media, inbound, loops)


@asynccontextmanager
async def _at_work(channel: _Channel) -> AsyncIterator[None]:
    """What came in is stopped first, then the sender once its messages are answered, then the rest."""
    for loop in channel.loops:
        loop.start()
    channel.sender.start()
    try:
        yield
    finally:
        await channel.deliveries.stop()
        await channel.inbound.stop()
        if channel.media is not None:
            await channel.media.stop()
        await channel.sender.stop(DRAIN_SECONDS)
        await asyncio.gather(*(loop.stop(2.0) for loop in channel.loops))


def _health(settings: AdapterWechatSettings, channel: _Channel) -> HealthRegistry:
    health = HealthRegistry(
        service="adapter-wechat",
        version=VERSION,
        revision=settings.service.revision,
        instance=settings.service.instance,
        env_digest=settings.service.env_digest,
    )
    health.required("gateway", channel.gateway.check)
    health.required("postgres", Proof(partial(store_proof.prove_writing, channel.pool, "wechat_people")))
    writes = Proof(channel.clients.prove_writing)

    async def redis() -> None:
        """Without it replies go out by looking into Postgres, some seconds later."""
        await writes()
        channel.reader.check()

    health.optional("redis", redis)
    return health


async def _platform(settings: AdapterWechatSettings, client: JsonClient, stack: AsyncExitStack) -> Platform | None:
    """None without an app id and its secret."""
    account = settings.account
    allowed = _video_hosts(settings)
    if account.app_id is None or account.app_secret is None:
        log.warning("WECHAT_APP_ID or WECHAT_APP_SECRET is not set: passive replies only")
        return None
    keeper = TokenKeeper(client, account.api_base_url, account.app_id, account.app_secret.reveal())
    stack.push_async_callback(keeper.stop)
    media_client = await stack.enter_async_context(JsonClient(answer_limit_bytes=_MEDIA_BYTES))
    videos = await stack.enter_async_context(ForeignUrls(allowed, limit_bytes=_MEDIA_BYTES))
    return Platform(client, media_client, keeper, account.api_base_url, videos=videos, marks_ai=settings.ai_mark)


def _video_hosts(settings: AdapterWechatSettings) -> AllowedHosts:
    try:
        return AllowedHosts(settings.media_hosts, origins=[settings.account.api_base_url])
    except ValueError as error:
        raise SettingsError(f"WECHAT_MEDIA_HOSTS: {error}") from None


def _envelope(account: WechatAccountSettings) -> EnvelopeCipher | None:
    """None in plain mode."""
    if account.encoding_aes_key is None:
        return None
    if account.app_id is None:
        raise SettingsError("WECHAT_APP_ID: required with WECHAT_ENCODING_AES_KEY, but not set")
    try:
        return EnvelopeCipher(account.encoding_aes_key.reveal(), account.app_id)
    except ValueError as error:
        raise SettingsError(f"WECHAT_ENCODING_AES_KEY: {error}") from None
