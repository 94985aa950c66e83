"""Whether running services keep the v0 contract, by HTTP."""

from __future__ import annotations

from uniassist.release.checks.conformance.gateway import GatewayChecks
from uniassist.release.checks.conformance.provider.kit import check_provider
from uniassist.release.checks.conformance.targets import Check, Targets
from uniassist.release.checks.conformance.wechat import WechatChecks
from uniassist.release.checks.service_client import (
    ServiceClient,
    json_body,
)
from uniassist.release.report.checklist import Checklist, equal, expect
from uniassist.settings.known_services import BY_NAME
from uniassist.web.calling.client import JsonClient


async def check_all(checklist: Checklist, targets: Targets) -> None:
    """Every check of every service that `targets` names, also after one has failed."""
    asked = (targets.gateway, targets.provider, targets.adapter_wechat, targets.worker, targets.others)
    expect(any(asked), "no URL to check")
    async with JsonClient() as client:
        for name, url in (
            ("gateway", targets.gateway),
            ("provider", targets.provider.url if targets.provider and targets.provider_is_ours else None),
            ("adapter-wechat", targets.adapter_wechat),
            ("worker", targets.worker),
            *((name, other.url) for name, other in targets.others.items() if name in BY_NAME),
        ):
            if url is None:
                continue
            service = ServiceClient(client, url.rstrip("/"))
            checks: dict[str, Check] = _every_service(service)
            if name == "gateway":
                checks |= GatewayChecks(service, targets).all()
            elif name == "adapter-wechat":
                checks |= WechatChecks(service, targets).all()
            for what, check in checks.items():
                await checklist.run(f"{name}: {what}", check)
    if targets.provider is not None:
        await check_provider(checklist, targets.provider, prefix="provider: ")
    for name, other in targets.others.items():
        await check_provider(checklist, other, prefix=f"{name}: ")


def _every_service(service: ServiceClient) -> dict[str, Check]:
    async def health() -> str:
        answer = await service.get("/health")
        body = json_body(answer)
        for member in ("ok", "service", "version", "revision", "checks"):
            expect(member in body, f"health lacks {member}")
        equal("status", answer.status, 200 if body["ok"] else 503)
        expect(body["ok"], f"not healthy: {body['checks']}")
        return str(body["revision"])

    async def liveness() -> None:
        equal("status", (await service.get("/health/live")).status, 200)

    async def metrics() -> None:
        answer = await service.get("/metrics")
        equal("status", answer.status, 200)
        expect(answer.headers.get("content-type", "").startswith("text/plain"), "expected Prometheus text")

    async def openapi() -> None:
        body = json_body(await service.get("/openapi.json"))
        expect(str(body.get("openapi", "")).startswith("3.1"), "expected OpenAPI 3.1")

    return {"health": health, "liveness": liveness, "metrics": metrics, "OpenAPI 3.1": openapi}
