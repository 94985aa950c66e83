"""Parts that a provider may have or not: health, metrics, erasure."""

from __future__ import annotations

import time

from uniassist.contracts import codec
from uniassist.contracts.provider import ErasureResponse
from uniassist.release.checks.conformance.provider.asking import Asking
from uniassist.release.checks.conformance.targets import Check
from uniassist.release.checks.service_client import json_body
from uniassist.release.report.checklist import Skipped, equal, expect
from uniassist.web.calling.client import Answer

_NOT_THERE = (404, 405, 501)


class AroundChecks:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def all(self) -> dict[str, Check]:
        return {"health": self.health, "metrics": self.metrics, "erasure": self.erasure}

    async def health(self) -> None:
        answer = _there(await self._asking.get("/health"), "/health")
        equal("status", answer.status, 200)
        body = json_body(answer)
        expect(isinstance(body, dict) and body.get("ok") is True, "expected ok: true")

    async def metrics(self) -> None:
        answer = _there(await self._asking.get("/metrics"), "/metrics")
        equal("status", answer.status, 200)
        kind = answer.headers.get("content-type", "")
        expect(kind.startswith(("text/plain", "application/openmetrics-text")), f"expected text/plain, got {kind}")

    async def erasure(self) -> None:
        body = {
            "schemaVersion": "v0",
            "userId": "user-check",
            "subjects": [],
            "timestampMs": time.time_ns() // 10**6,
        }
        for _ in range(2):
            answer = _there(await self._asking.post("/v0/erase", body), "/v0/erase")
            equal("status", answer.status, 200)
            codec.decode(answer.body, ErasureResponse)


def _there(answer: Answer, path: str) -> Answer:
    if answer.status in _NOT_THERE:
        raise Skipped(f"it serves no {path}")
    return answer
