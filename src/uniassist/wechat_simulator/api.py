"""The platform's API over HTTP, and the ways in which it fails."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from uniassist.wechat_simulator.account import Refusal, SimulatedAccount

TOKEN, SEND = "/cgi-bin/stable_token", "/cgi-bin/message/custom/send"
TYPING, MEDIA = "/cgi-bin/message/custom/typing", "/cgi-bin/media/get"


@dataclass(frozen=True)
class Fault:
    """`code`: answered instead of acting, after `seconds`. `accepted_then_dropped`: acted, then cut off."""

    kind: Literal["code", "accepted_then_dropped", "dropped", "status", "garbage", "silence"]
    code: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Call:
    """A call as it was answered; `code` None: it got no answer with a code."""

    path: str
    body: dict[str, Any]
    code: int | None
    at: float


@dataclass
class Faults:
    """What the next calls of a path run into, in their order."""

    _waiting: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))

    def add(self, path: str, *faults: Fault) -> None:
        self._waiting[path].extend(faults)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, path: str) -> Fault | None:
        waiting = self._waiting[path]
        return waiting.popleft() if waiting else None


class Api:
    def __init__(self, account: SimulatedAccount) -> None:
        self.account = account
        self.faults = Faults()
        self.calls: list[Call] = []
        self.delay_seconds = 0.0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(TOKEN, self._token),
            web.post(SEND, self._send),
            web.post(TYPING, self._typing),
            web.get(MEDIA, self._media),
            web.get("/video/{media_id}", self._video),
        ]

    async def _token(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self.account.token)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        escaped = b"\\u" in await request.read()

        def act(asked: dict[str, Any]) -> dict[str, Any]:
            self.account.check_token(request.query.get("access_token"))
            self.account.send(asked, escaped=escaped)
            return {}

        return await self._answer(request, act)

    async def _typing(self, request: web.Request) -> web.StreamResponse:
        def act(asked: dict[str, Any]) -> dict[str, Any]:
            self.account.check_token(request.query.get("access_token"))
            self.account.type(asked)
            return {}

        return await self._answer(request, act)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        media_id = request.query.get("media_id")

        def act(_asked: dict[str, Any]) -> dict[str, Any] | web.Response:
            self.account.check_token(request.query.get("access_token"))
            found = self.account.medium(media_id)
            if found.mime.startswith("video/"):
                return {"video_url": f"{request.url.origin()}/video/{media_id}"}
            named = {"Content-disposition": f'attachment; filename="{media_id}"'}
            return web.Response(body=found.content, content_type=found.mime, headers=named)

        return await self._answer(request, act)

    async def _video(self, request: web.Request) -> web.StreamResponse:
        found = self.account.media[request.match_info["media_id"]]
        return web.Response(body=found.content, content_type=found.mime)

    async def _answer(
        self, request: web.Request, act: Callable[[dict[str, Any]], dict[str, Any] | web.Response]
    ) -> web.StreamResponse:
        await asyncio.sleep(self.delay_seconds)
        raw = await request.read()
        body: dict[str, Any] = json.loads(raw) if raw else dict(request.query)
        fault = self.faults.take(request.path)
        if fault is not None and fault.kind != "accepted_then_dropped":
            return await self._fail(request, body, fault)
        try:
            answer = act(body)
            code, message = 0, "ok"
        except Refusal as refusal:
            answer = {}
            code, message = refusal.code, f"{refusal} {self.account.rid()}"
        if fault is not None:
            return self._drop(request, body)
        self._record(request, body, code)
        if isinstance(answer, web.Response):
            return answer
        # errors of `media/get` too are answered with 200 and JSON
        said = answer if code == 0 and answer else {"errcode": code, "errmsg": message}
        return web.Response(body=json.dumps(said).encode(), content_type="application/json")

    async def _fail(self, request: web.Request, body: dict[str, Any], fault: Fault) -> web.StreamResponse:
        await asyncio.sleep(fault.seconds)
        if fault.kind in ("dropped", "silence"):
            return self._drop(request, body)
        if fault.kind == "status":
            self._record(request, body, None)
            return web.Response(status=fault.code, text="<html>502 Bad Gateway</html>")
        if fault.kind == "garbage":
            self._record(request, body, None)
            return web.Response(body=b"<html>maintenance</html>", content_type="text/html")
        self._record(request, body, fault.code)
        said = {"errcode": fault.code, "errmsg": f"as told {self.account.rid()}"}
        return web.Response(body=json.dumps(said).encode(), content_type="application/json")

    def _drop(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self._record(request, body, None)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _record(self, request: web.Request, body: dict[str, Any], code: int | None) -> None:
        self.calls.append(Call(request.path, body, code, self.account.clock.now()))
