"""The console, put together of what the gateway has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uniassist import VERSION
from uniassist.gateway.calls import Calls
from uniassist.gateway.console.access import Access, Known
from uniassist.gateway.console.lives import LifeRoutes, Mask
from uniassist.gateway.console.outbox import OutboxRoutes, paused_of
from uniassist.gateway.console.pages import pages
from uniassist.gateway.console.releases import ReleaseRoutes
from uniassist.gateway.console.sampling import Sampling
from uniassist.gateway.console.talk import Place, TalkRoutes
from uniassist.gateway.console.watch import WatchRoutes
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.tickets import Tickets
from uniassist.settings.console import ConsoleSettings
from uniassist.store.server.pool import Pool
from uniassist.streams.lane_clients import LaneClients
from uniassist.web.calling.client import JsonClient
from uniassist.web.client_address import ClientAddresses
from uniassist.web.health import HealthRegistry
from uniassist.web.operations import Handler


@dataclass(frozen=True)
class Parts:
    """What the console looks at."""

    pool: Pool
    clients: LaneClients
    metrics: GatewayMetrics
    calls: Calls
    registry: ProviderRegistry
    health: HealthRegistry
    client: JsonClient


@dataclass(frozen=True)
class Console:
    """`routes`: with its operations. `pages`: handlers by path."""

    routes: Sequence[object]
    pages: Mapping[str, Handler]
    sampling: Sampling

    @classmethod
    def made(
        cls,
        settings: ConsoleSettings,
        parts: Parts,
        *,
        env: str,
        revision: str,
        app_auth: Literal["off", "jwt"],
        adapter_secrets: Sequence[str],
        proxies: ClientAddresses,
        mask: Mask,
    ) -> Console:
        """`adapter_secrets`: what the gateway's tickets are sealed with, and act tokens too."""
        access = Access(
            known=[Known(each.name, each.role, each.token.reveal()) for each in settings.operators],
            user_header=settings.user_header,
            actors=settings.actors,
            is_open=settings.is_open,
            proxies=proxies,
            secret=adapter_secrets[0],
        )
        sampling = Sampling(
            pool=parts.pool,
            clients=parts.clients,
            metrics=parts.metrics,
            calls=parts.calls,
            registry=parts.registry,
            health=parts.health,
            client=parts.client,
            services=settings.services,
            paused_of=paused_of,
        )
        place = Place(env, VERSION, revision, app_auth, settings.release_directory is not None)
        talk = TalkRoutes(
            access=access,
            pool=parts.pool,
            tickets=Tickets(tuple(adapter_secrets)),
            catalogue=lambda: parts.registry.catalogue,
            place=place,
        )
        life = LifeRoutes(
            access=access,
            pool=parts.pool,
            clients=parts.clients,
            mask=mask,
        )
        return cls(
            routes=[
                talk,
                life,
                OutboxRoutes(access=access, pool=parts.pool, mask=mask),
                WatchRoutes(access=access, sampling=sampling),
                ReleaseRoutes(
                    access=access,
                    home=settings.release_directory,
                    reports=settings.reports_directory,
                    mask=mask,
                ),
            ],
            pages=pages(),
            sampling=sampling,
        )
