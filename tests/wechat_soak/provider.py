"""A specialist that answers with what it was asked, soon or late, from a thread of its own."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from types import TracebackType

from aiohttp import web

QUICK, SLOW = "快问", "慢问"
SLOW_SECONDS = (1.0, 7.0)


class SoakProvider:
    """`with SoakProvider(seed) as provider`. `seconds` of a slow answer may be set for what comes next."""

    def __init__(self, seed: int) -> None:
        self.port = 0
        self.seconds: tuple[float, float] = SLOW_SECONDS
        self._chance = random.Random(f"{seed} provider")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> SoakProvider:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v0/invoke", self._invoke)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def _invoke(self, request: web.Request) -> web.Response:
        call = json.loads(await request.read())
        text = str(call["input"].get("text"))
        if text.startswith(SLOW):
            await asyncio.sleep(self._chance.uniform(*self.seconds))
        answer = {
            "schemaVersion": "v0",
            "runId": call["run"]["runId"],
            "providerId": call["run"]["providerId"],
            "ack": {"type": "ack", "message": f"收到（{text}）"},
            "immediateEvents": [{"type": "assistant_message", "text": answer_to(text)}],
        }
        return web.json_response(answer)


def answer_to(text: str) -> str:
    """Unlike any other, and part of no other."""
    return f"答复（{text}）"
