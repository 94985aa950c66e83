"""A small gateway over real HTTP: takes signed inputs, keeps a timeline, and fails when it is told to."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Any
from urllib.parse import quote

from aiohttp import web
from tests.processes import ADAPTER_SECRET

from uniassist.contracts import codec
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.web import signing

JSON = "application/json"


class GatewayDouble:
    """`with GatewayDouble() as gateway`: serves from a thread of its own. Texts with 计划 get a run of `plan`."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.inputs: list[UnifiedUserInput] = []
        self.reset()
        self._nonces: set[str] = set()
        self._acks: dict[str, bytes] = {}
        self._timelines: dict[str, list[dict[str, Any]]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> GatewayDouble:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Count from nothing, and do everything right."""
        self.attempts = 0
        self.refuse_next = 0
        self.refuse_status = 503
        self.provider_seconds = 0.1
        self.successor: str | None = None

    def inputs_of(self, openid: str) -> list[UnifiedUserInput]:
        return [message for message in self.inputs if message.user_id == f"wx:{openid}"]

    def stop(self) -> None:
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/v0/ingest", self._ingest)
        app.router.add_get("/v0/timeline", self._timeline)
        app.router.add_get("/health/live", self._live)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(body=b'{"ok":true,"service":"gateway"}', content_type=JSON)

    async def _ingest(self, request: web.Request) -> web.Response:
        self.attempts += 1
        body = await request.read()
        nonce = signing.verify(request.raw_headers, body, [ADAPTER_SECRET], int(time.time() * 1000))
        assert nonce not in self._nonces, "a nonce is used once"
        self._nonces.add(nonce)
        if self.refuse_next > 0:
            self.refuse_next -= 1
            return web.Response(status=self.refuse_status)
        message = codec.decode(body, UnifiedUserInput)
        assert message.channel is not None
        assert message.channel.message_id is not None
        key = f"{message.user_id} {message.channel.message_id}"
        if key not in self._acks:
            self.inputs.append(message)
            self._acks[key] = self._accept(message)
        return web.Response(body=self._acks[key], content_type=JSON)

    async def _timeline(self, request: web.Request) -> web.Response:
        cursor = int(request.query["cursor"])
        events = [each for each in self._timelines.get(request.query["sessionId"], []) if each["seq"] > cursor]
        page = {"schemaVersion": "v0", "events": events, "nextCursor": events[-1]["seq"] if events else cursor}
        return web.Response(body=codec.encode(page), content_type=JSON)

    def _accept(self, message: UnifiedUserInput) -> bytes:
        session_id = self.successor or message.session_id
        cursor = len(self._timelines.setdefault(session_id, []))
        self._append(message, session_id, "inbound", {"input": message})
        planned = "计划" in (message.text or "")
        run = f"run-{len(self.inputs)}"
        self._append(message, session_id, "provider_run", self._run("pending" if planned else "completed"), run)
        said: dict[str, Any] = (
            {"type": "ack", "message": "收到，正在交给 plan 处理。"}
            if planned
            else {"type": "assistant_message", "text": f"你说：{message.text}"}
        )
        if planned:
            self._loop.call_later(self.provider_seconds, self._answer, message, session_id, run)
        else:
            self._append(message, session_id, "interaction", {"event": said, "source": "fallback"}, run)
        provider = "plan" if planned else "builtin_chat"
        return codec.encode(
            {
                "schemaVersion": "v0",
                "traceId": message.trace_id,
                "sessionId": session_id,
                "userId": message.user_id,
                "routing": {
                    "schemaVersion": "v0",
                    "traceId": message.trace_id,
                    "sessionId": session_id,
                    "candidates": [],
                    "requiresUserConfirmation": False,
                    "fallback": "none",
                    "timestampMs": 1,
                },
                "runs": [{"providerId": provider, "runId": run, "mode": "async" if planned else "sync"}],
                "ackEvents": [said],
                "stream": {
                    "type": "sse",
                    "href": f"/v0/stream?sessionId={quote(session_id, safe='')}&cursor={cursor}",
                    "cursor": cursor,
                },
                "timestampMs": 1,
            }
        )

    def _answer(self, message: UnifiedUserInput, session_id: str, run: str) -> None:
        for event in (
            {"type": "ack", "message": "好的，我来帮你制定计划。"},
            {"type": "something_of_a_later_version"},
            {"type": "card", "title": f"关于“{message.text}”", "actions": [{"actionId": "go", "label": "开始"}]},
        ):
            self._append(message, session_id, "interaction", {"event": event, "source": "provider"}, run)
        self._append(message, session_id, "provider_run", self._run("completed"), run)

    @staticmethod
    def _run(status: str) -> dict[str, Any]:
        return {"providerId": "plan", "mode": "async", "status": status}

    def _append(
        self, message: UnifiedUserInput, session_id: str, kind: str, payload: object, run: str | None = None
    ) -> None:
        timeline = self._timelines[session_id]
        timeline.append(
            {
                "schemaVersion": "v0",
                "eventId": f"{session_id}-{len(timeline) + 1}",
                "traceId": message.trace_id,
                "sessionId": session_id,
                "userId": message.user_id,
                "seq": len(timeline) + 1,
                "timestampMs": 1,
                "kind": kind,
                "payload": payload,
            }
            | ({"runId": run} if run else {})
        )
