"""A provider as a service, wired: the one place that reads its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from uniassist import VERSION, tracing
from uniassist.errors import SettingsError
from uniassist.provider.late import Gateway
from uniassist.provider.provider import Provider
from uniassist.provider.routes import SpecialistRoutes
from uniassist.settings.reader import Reader
from uniassist.settings.secret_files import take_in, value_of
from uniassist.settings.services import ServiceSettings
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX
from uniassist.telemetry import configure_logging
from uniassist.web import bodies, server
from uniassist.web.app import create_app
from uniassist.web.calling.client import JsonClient
from uniassist.web.health import HealthRegistry
from uniassist.web.operations import served
from uniassist.web.processes.place import Place

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ProviderSettings:
    """`token`: what the gateway shows with each call; None: anybody may call.

    `gateway_url`, `access_token`: where late events go, and what we show there.
    """

    service: ServiceSettings
    token: str | None
    gateway_url: str
    access_token: str | None

    @classmethod
    def from_env(
        cls, provider_id: str, port: int | None, environ: Mapping[str, str] = os.environ
    ) -> ProviderSettings:
        """SettingsError. Outside dev and test a token is needed, as our own services need theirs."""
        reader = Reader({"PORT": str(port), **environ} if port is not None else environ)
        variable = f"{PROVIDER_TOKEN_PREFIX}{provider_id.upper().replace('-', '_')}"
        token = value_of(environ, variable) or None
        if token is None and reader.strict:
            raise SettingsError(f"{variable}: required, but not set; expected what the gateway shows this provider")
        if token is not None and len(token) < _SHORTEST_TOKEN:
            raise SettingsError(f"{variable}: expected {_SHORTEST_TOKEN} characters or more")
        shared = reader.optional_secret("UNIASSIST_PROVIDER_CONTEXT_TOKEN")
        access = value_of(environ, f"{variable}_ACCESS") or None
        return cls(
            service=ServiceSettings.read(reader, "PORT"),
            token=token,
            gateway_url=reader.http_url("GATEWAY_URL"),
            access_token=access or (shared.reveal() if shared is not None else None),
        )


def run(provider: Provider, port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, drain, and end."""

    async def start() -> None:
        take_in(os.environ)
        read = ProviderSettings.from_env(provider.provider_id, port)
        async with JsonClient() as client:
            gateway = Gateway(client, read.gateway_url, provider_id=provider.provider_id, token=read.access_token)
            await serve(provider, read.service, token=read.token, gateway=gateway)

    server.run(start)


async def serve(
    provider: Provider,
    settings: ServiceSettings,
    *,
    token: str | None,
    gateway: Gateway | None,
    others: Sequence[object] = (),
    place: Place | None = None,
) -> None:
    """`gateway`: hears what comes late; None: this provider reports nothing. `others`: with further operations.

    `place`: among the provider's processes; None: it has no other.
    """
    place = place if place is not None else Place()
    name = f"provider-{provider.provider_id}"
    configure_logging(name, settings.log_level)
    listener = server.listener_of(settings, place)
    metrics = CollectorRegistry()
    routes = SpecialistRoutes(provider, metrics=metrics, token=token, gateway=gateway)
    health = HealthRegistry(
        service=name,
        version=VERSION,
        revision=settings.revision,
        instance=settings.instance,
        env_digest=settings.env_digest,
        place=place,
    )
    for check, look in provider.checks.items():
        health.required(check, look)
    spans = tracing.start(service=name, version=VERSION, is_configured=settings.traces)
    app = create_app(
        service=name,
        version=VERSION,
        operations=served(routes, *others),
        health=health,
        metrics=metrics,
        spans=spans,
        body_budget_bytes=place.share(settings.bodies_bytes, least=bodies.LEAST_BUDGET_BYTES),
        place=place,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(spans.stop)
        await stack.enter_async_context(health)
        stack.push_async_callback(routes.stop)
        await server.serve(app, listener, place=place)
