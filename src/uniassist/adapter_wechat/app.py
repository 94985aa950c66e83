"""adapter-wechat, wired: the one place of this service that reads settings."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from uniassist import VERSION
from uniassist.adapter_wechat.crypto.envelope import Envelope
from uniassist.adapter_wechat.deliveries import Deliveries
from uniassist.adapter_wechat.gateway import Gateway
from uniassist.adapter_wechat.inbound import Inbound
from uniassist.adapter_wechat.routes import Routes
from uniassist.errors import SettingsError
from uniassist.settings import AdapterWechatSettings
from uniassist.telemetry import configure_logging
from uniassist.web import server
from uniassist.web.app import create_app
from uniassist.web.client import JsonClient
from uniassist.web.health import HealthRegistry


def main() -> None:
    server.run(run)


async def run() -> None:
    settings = AdapterWechatSettings.from_env()
    service = settings.service
    configure_logging("adapter-wechat", service.log_level)
    envelope = _envelope(settings)
    listener = server.listen(service.host, service.port, port_variable=service.port_variable)
    metrics = CollectorRegistry()
    async with JsonClient(connection_limit=500) as client:
        gateway = Gateway(client, settings.gateway_url, settings.adapter_secret.reveal())
        deliveries = Deliveries(gateway)
        routes = Routes(
            inbound=Inbound(deliveries),
            token=settings.token.reveal(),
            envelope=envelope,
            entrance=settings.json_entrance,
            metrics=metrics,
        )
        health = HealthRegistry(service="adapter-wechat", version=VERSION, revision=service.revision)
        health.required("gateway", gateway.check)
        app = create_app(
            service="adapter-wechat",
            version=VERSION,
            operations=routes.operations(),
            health=health,
            metrics=metrics,
        )
        async with health:
            try:
                await server.serve(app, listener)
            finally:
                await deliveries.stop()


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
