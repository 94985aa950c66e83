"""The fronts, wired: what each needs of the gateway, and its routes."""

from __future__ import annotations

from uniassist.gateway.bounds.bounds import Bounds
from uniassist.gateway.callers import Callers
from uniassist.gateway.event_streams import Hub
from uniassist.gateway.fronts.a2a.handling import A2aTasks
from uniassist.gateway.fronts.a2a.rest import A2aRestRoutes
from uniassist.gateway.fronts.a2a.routes import A2aRoutes
from uniassist.gateway.fronts.agui.routes import AgUiRoutes
from uniassist.gateway.fronts.entrance import Entrance
from uniassist.gateway.fronts.following import Following
from uniassist.gateway.fronts.openai.routes import OpenAiRoutes
from uniassist.gateway.intake import Intake
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.store.server.pool import Pool


def fronts(
    *,
    pool: Pool,
    hub: Hub,
    intake: Intake,
    callers: Callers,
    bounds: Bounds,
    metrics: GatewayMetrics,
    registry: ProviderRegistry,
    secret: str,
    version: str,
    asks_for_token: bool,
) -> tuple[object, ...]:
    """Their routes. `secret`: the same for all instances. `asks_for_token`: apps need one."""
    entrance = Entrance(pool=pool, callers=callers, intake=intake, metrics=metrics)
    following = Following(pool, hub)
    tasks = A2aTasks(
        pool=pool,
        entrance=entrance,
        intake=intake,
        following=following,
        callers=callers,
        bounds=bounds,
        metrics=metrics,
        secret=secret,
    )
    agui = AgUiRoutes(
        pool=pool,
        entrance=entrance,
        intake=intake,
        following=following,
        callers=callers,
        bounds=bounds,
        metrics=metrics,
        secret=secret,
    )
    openai = OpenAiRoutes(
        entrance=entrance,
        following=following,
        registry=registry,
        callers=callers,
        bounds=bounds,
        metrics=metrics,
        secret=secret,
    )
    a2a = A2aRoutes(tasks=tasks, registry=registry, version=version, asks_for_token=asks_for_token)
    return openai, a2a, A2aRestRoutes(tasks), agui
