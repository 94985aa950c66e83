"""adapter-wechat, wired: the one place of this service that reads settings."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from uniassist import VERSION
from uniassist.adapter_wechat.crypto.envelope import Envelope
from uniassist.adapter_wechat.deliveries import Deliveries
from uniassist.adapter_wechat.erasure import Erasure
from uniassist.adapter_wechat.gateway import Gateway
from uniassist.adapter_wechat.inbound import Inbound
from uniassist.adapter_wechat.media import Media
from uniassist.adapter_wechat.media_store import MediaStore
from uniassist.adapter_wechat.metrics import Metrics
from uniassist.adapter_wechat.permission import Permission
from uniassist.adapter_wechat.platform.client import Platform
from uniassist.adapter_wechat.platform.token import TokenKeeper
from uniassist.adapter_wechat.reader import BLOCK_MS, GROUP, Reader
from uniassist.adapter_wechat.reports import Reporter
from uniassist.adapter_wechat.retention import Retention
from uniassist.adapter_wechat.routes import Routes
from uniassist.adapter_wechat.sender import Sender
from uniassist.errors import SettingsError
from uniassist.settings import AdapterWechatSettings
from uniassist.store.pool import Pool, create_pool
from uniassist.streams.group import Group
from uniassist.telemetry import configure_logging
from uniassist.web import server
from uniassist.web.app import create_app
from uniassist.web.client import JsonClient
from uniassist.web.health import HealthRegistry

log = structlog.get_logger()

DRAIN_SECONDS = 10
_MEDIA_BYTES = 24 * 1024 * 1024  # above the largest that people can send


def main() -> None:
    server.run(run)


async def run() -> None:
    settings = AdapterWechatSettings.from_env()
    service = settings.service
    configure_logging("adapter-wechat", service.log_level)
    envelope = _envelope(settings)
    files = MediaStore(settings.media_dir)
    listener = server.listen(service.host, service.port, port_variable=service.port_variable)
    metrics = Metrics(CollectorRegistry())
    async with AsyncExitStack() as stack:
        pool = await create_pool(settings.database_url.reveal(), application_name="uniassist-wechat", max_size=20)
        stack.push_async_callback(asyncio.wait_for, pool.close(), 5.0)
        redis = Redis.from_url(
            settings.redis_url.reveal(), socket_connect_timeout=2.0, socket_timeout=BLOCK_MS / 1000 + 3.0
        )
        stack.push_async_callback(redis.aclose)
        # A host that is silently away shows before a send's deadline, while it is certain that nothing was sent.
        client = await stack.enter_async_context(JsonClient(connection_limit=500, connect_seconds=3.0))
        gateway = Gateway(
            client,
            settings.gateway_url,
            adapter_secret=settings.adapter_secret.reveal(),
            token=settings.provider_context_token.reveal(),
        )
        permission = Permission(await _platform(settings, client, stack))
        owner = f"{settings.streams.consumer}:{os.getpid()}:{secrets.token_hex(4)}"
        sender = Sender(pool, permission, metrics, owner=owner, limit_bytes=settings.text_bytes)
        group = Group(redis, key=settings.streams.global_key, name=GROUP, consumer=settings.streams.consumer)
        reader = Reader(pool, redis, group, sender.loop.wake)
        deliveries = Deliveries()
        media = Media(pool, permission.platform, files, metrics) if permission.platform is not None else None
        inbound = Inbound(
            pool,
            gateway,
            deliveries,
            permission,
            media,
            Erasure(pool, redis, settings.streams.prefix, files, deliveries),
            limit_bytes=settings.text_bytes,
            wake=sender.loop.wake,
        )
        routes = Routes(
            inbound=inbound,
            token=settings.token.reveal(),
            envelope=envelope,
            entrance=settings.json_entrance,
            metrics=metrics.registry,
        )
        health = await stack.enter_async_context(_health(settings, pool, gateway, reader))
        app = create_app(
            service="adapter-wechat",
            version=VERSION,
            operations=routes.operations(),
            health=health,
            metrics=metrics.registry,
        )
        reporter = Reporter(pool, gateway, metrics)
        retention = Retention(pool, files, days=settings.media_days)
        loops = (*reader.loops, reporter.loop, retention.loop, *((media.loop,) if media is not None else ()))
        for loop in loops:
            loop.start()
        sender.start()
        try:
            await server.serve(app, listener, drain_seconds=DRAIN_SECONDS)
        finally:
            await deliveries.stop()
            await inbound.stop()
            if media is not None:
                await media.stop()
            await sender.stop(DRAIN_SECONDS)
            await asyncio.gather(*(loop.stop(2.0) for loop in loops))


def _health(settings: AdapterWechatSettings, pool: Pool, gateway: Gateway, reader: Reader) -> HealthRegistry:
    health = HealthRegistry(
        service="adapter-wechat",
        version=VERSION,
        revision=settings.service.revision,
        instance=settings.service.instance,
        env_digest=settings.service.env_digest,
    )

    async def postgres() -> None:
        # A schema that is missing shows here too; a service never makes it.
        await pool.fetchval("SELECT 1 FROM wechat_people LIMIT 1", timeout=0.8)

    health.required("gateway", gateway.check)
    health.required("postgres", postgres)
    health.optional("redis", reader.check)
    return health


async def _platform(settings: AdapterWechatSettings, client: JsonClient, stack: AsyncExitStack) -> Platform | None:
    """None without an app id and its secret."""
    if settings.app_id is None or settings.app_secret is None:
        log.warning("WECHAT_APP_ID or WECHAT_APP_SECRET is not set: passive replies only")
        return None
    keeper = TokenKeeper(client, settings.api_base_url, settings.app_id, settings.app_secret.reveal())
    stack.push_async_callback(keeper.stop)
    media_client = await stack.enter_async_context(JsonClient(answer_limit_bytes=_MEDIA_BYTES))
    return Platform(client, media_client, keeper, settings.api_base_url, marks_ai=settings.ai_mark)


def _envelope(settings: AdapterWechatSettings) -> Envelope | None:
    """None in plain mode."""
    if settings.encoding_aes_key is None:
        return None
    if settings.app_id is None:
        raise SettingsError("WECHAT_APP_ID: required with WECHAT_ENCODING_AES_KEY, but not set")
    try:
        return Envelope(settings.encoding_aes_key.reveal(), settings.app_id)
    except ValueError as error:
        raise SettingsError(f"WECHAT_ENCODING_AES_KEY: {error}") from None
