"""The simulator as tests use it: a server in a thread of its own, people who write, and their screens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from email.utils import formatdate
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from uniassist.wechat_simulator.account import Clock, Shown, SimulatedAccount, UploadedMedium
from uniassist.wechat_simulator.api import Api, Call, Faults
from uniassist.wechat_simulator.by_hand import ByHand
from uniassist.wechat_simulator.pushes import Pushed, Pusher

T = TypeVar("T")

APP_ID, APP_SECRET = "wxba5fad812f8e6fb9", "0f3e8f0d6a5b4c7d9e1f2a3b4c5d6e7f"
_KINDS = {"image": "[图片]", "voice": "[语音]", "video": "[视频]", "shortvideo": "[小视频]", "location": "[位置]"}


class WechatSimulator:
    """`with WechatSimulator(token="AAAAA") as wechat`; `aes_key` None: plain mode."""

    def __init__(
        self, *, token: str, aes_key: str | None = None, port: int = 0, app_secret: str = APP_SECRET
    ) -> None:
        self.account = SimulatedAccount(APP_ID, app_secret)
        self.api = Api(self.account)
        self.pusher = Pusher(self.account, token=token, aes_key=aes_key)
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> WechatSimulator:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def clock(self) -> Clock:
        return self.account.clock

    @property
    def faults(self) -> Faults:
        return self.api.faults

    @property
    def settings(self) -> dict[str, str]:
        """The adapter's, for this account."""
        return {
            "WECHAT_APP_ID": APP_ID,
            "WECHAT_APP_SECRET": self.account.app_secret,
            "WECHAT_API_BASE_URL": self.url,
        }

    def watch(self, adapter_url: str) -> None:
        self.pusher.webhook = f"{adapter_url}/wechat/webhook"

    async def say(self, openid: str, text: str, *, lose: int = 0) -> Pushed:
        """`openid` writes; returns once the platform is done with the push."""
        return await self.send(openid, "text", lose=lose, Content=text)

    async def send(self, openid: str, kind: str, *, lose: int = 0, **fields: Any) -> Pushed:
        self.account.wrote(openid, str(fields.get("Content") or _KINDS.get(kind, f"[{kind}]")))
        return await self._away(self.pusher.push(self.pusher.message(openid, kind, **fields), lose=lose))

    async def send_medium(self, openid: str, kind: str, media_id: str, content: bytes, mime: str) -> Pushed:
        self.keep_medium(media_id, content, mime)
        return await self.send(openid, kind, MediaId=media_id)

    def keep_medium(self, media_id: str, content: bytes, mime: str) -> None:
        self.account.media[media_id] = UploadedMedium(content, mime, self.clock.now())

    async def act(self, openid: str, event: str, **fields: Any) -> Pushed:
        """A follow, a scan, a click, or what leaves no right to write."""
        if event in ("subscribe", "SCAN", "CLICK"):
            self.account.acted(openid)
        self.account.people[openid].follows = event != "unsubscribe"
        return await self._away(self.pusher.push(self.pusher.event(openid, event, **fields)))

    async def again(self, pushed: Pushed) -> Pushed:
        """The platform repeats itself, as on its worst days."""
        return await self._away(self.pusher.push(pushed.fields))

    async def handshake(self) -> bool:
        return await self._away(self.pusher.handshake())

    def screen(self, openid: str) -> list[Shown]:
        return list(self.account.people[openid].screen)

    def texts(self, openid: str) -> list[str]:
        return [shown.text for shown in self.screen(openid)]

    def calls(self, path: str) -> list[Call]:
        return [call for call in list(self.api.calls) if call.path == path]

    async def _away(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self) -> None:
        self.pusher.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        app = web.Application()
        self._by_hand = ByHand(self.account, self.api, self.pusher)
        app.add_routes([*self.api.routes(), *self._by_hand.routes()])
        app.on_response_prepare.append(self._date)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def _date(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.clock.now(), usegmt=True)

    async def _stop(self) -> None:
        assert self.pusher.session is not None
        await self._by_hand.stop()
        await self.pusher.session.close()
        await self._runner.cleanup()
