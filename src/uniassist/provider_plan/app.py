"""provider-plan, wired: the one place of this service that reads settings."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from uniassist import VERSION, tracing
from uniassist.provider_plan.routes import Routes
from uniassist.settings import ProviderPlanSettings
from uniassist.telemetry import configure_logging
from uniassist.web import server
from uniassist.web.app import create_app
from uniassist.web.health import HealthRegistry


def main() -> None:
    server.run(run)


async def run() -> None:
    settings = ProviderPlanSettings.from_env().service
    configure_logging("provider-plan", settings.log_level)
    listener = server.listen(settings.host, settings.port, port_variable=settings.port_variable)
    metrics = CollectorRegistry()
    routes = Routes(version=VERSION, metrics=metrics)
    health = HealthRegistry(
        service="provider-plan",
        version=VERSION,
        revision=settings.revision,
        instance=settings.instance,
        env_digest=settings.env_digest,
    )
    spans = tracing.start(service="provider-plan", version=VERSION, is_configured=settings.traces)
    app = create_app(
        service="provider-plan",
        version=VERSION,
        operations=routes.operations(),
        health=health,
        metrics=metrics,
        spans=spans,
    )
    try:
        async with health:
            await server.serve(app, listener)
    finally:
        await spans.stop()
