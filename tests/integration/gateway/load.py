"""Load that outlives its gateways: clients that send again with their key until they are answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.integration.gateway.client import GatewayClient, Json, decoded, message

from uniassist.web.calling.client import CallFailed


@dataclass
class Load:
    """Clients that never give up an input: the same key again, at the other gateway, until it is acknowledged."""

    gateways: list[GatewayClient]
    sessions: list[str]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: dict[str, Json] = field(default_factory=dict)
    repeated: int = 0
    pause_seconds: float = 0.0

    async def client(self, number: int) -> None:
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            text = "帮我安排一个计划" if turn % 3 == 0 else "你好"
            sent = message(text, sessionId=self.sessions[(number + turn) % len(self.sessions)])
            self.acknowledged[sent["traceId"]] = await self._until_acknowledged(sent, number + turn)
            await asyncio.sleep(self.pause_seconds)

    async def _until_acknowledged(self, sent: Json, start: int) -> Json:
        headers = {"Idempotency-Key": sent["traceId"]}
        for attempt in range(600):
            try:
                answer = await self.gateways[(start + attempt) % 2].post("/v0/ingest", sent, headers)
            except CallFailed:
                answer = None
            if answer is not None and answer.status == 200:
                return decoded(answer)
            assert answer is None or answer.status == 503, answer.body
            self.repeated += 1
            await asyncio.sleep(0.05)
        raise AssertionError("an input was not acknowledged in 600 attempts")
