"""The simulator by hand: a page with a phone on it, and the faults of the platform's worst days as buttons."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Coroutine
from importlib.resources import files
from typing import Any

from aiohttp import web

from uniassist.wechat_simulator.account import SimulatedAccount, SimulatedPerson, UploadedMedium
from uniassist.wechat_simulator.api import SEND, TOKEN, Api, Fault
from uniassist.wechat_simulator.pushes import UNSUPPORTED, Pushed, Pusher

MAX_UNDER_WAY = 100
_LATEST = 300

# What can go wrong with the next customer-service message, and with the account itself.
_NEXT_SEND: dict[str, Fault] = {
    "busy": Fault("code", -1),
    "stale token": Fault("code", 40001),
    "window over": Fault("code", 45015),
    "quota used": Fault("code", 45047),
    "refused": Fault("code", 48002),
    "dropped": Fault("dropped"),
    "accepted, then dropped": Fault("accepted_then_dropped"),
    "502": Fault("status", 502),
}
# What can be sent besides text: the platform's type, what the phone shows, and what it is a file of.
_SENT = {
    "picture": ("image", "[图片]", "image/jpeg"),
    "voice": ("voice", "[语音]", "audio/amr"),
    "sticker": ("text", "[表情]", ""),
    "unknown": ("type-of-the-future", "[未知]", ""),
}
CLICKED = "帮我制定一个学习计划"  # the key of the menu's button, unless another one is written
_SWITCHES: dict[str, Callable[[SimulatedAccount, bool], None]] = {
    "unverified": lambda account, on: setattr(account, "may_send", not on),
    "address not allowed": lambda account, on: setattr(account, "ip_is_allowed", not on),
}


class ByHand:
    """Routes of the page. A person's act is pushed in the background: the page shows what becomes of it."""

    def __init__(self, account: SimulatedAccount, api: Api, pusher: Pusher) -> None:
        self._account = account
        self._api = api
        self._pusher = pusher
        self._lose_next = 0
        self._last: list[str] = []
        self._under_way: set[asyncio.Task[Pushed]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._page),
            web.get("/phone", self._phone),
            web.post("/phone/say", self._say),
            web.post("/phone/act", self._act),
            web.post("/phone/send", self._send),
            web.post("/faults", self._fault),
            web.get("/health", self._health),
        ]

    async def stop(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "service": "wechat-sim"})

    async def _page(self, _request: web.Request) -> web.Response:
        page = files("uniassist.wechat_simulator").joinpath("page.html").read_text("utf-8")
        return web.Response(text=page, content_type="text/html")

    async def _phone(self, request: web.Request) -> web.Response:
        openid = request.query.get("openid", "")
        person = self._account.people[openid] if openid in self._account.people else SimulatedPerson()
        shown = {
            "lines": lines_of(person)[-_LATEST:],
            "typing": person.typing[-1:] == ["Typing"],
            "follows": person.follows,
            "left": self._left(person),
            "pushes": self._last,
            "unverified": not self._account.may_send,
            "address not allowed": not self._account.ip_is_allowed,
            "webhook": self._pusher.webhook,
            "mode": self._pusher.mode,
            "format": self._pusher.format,
        }
        return web.json_response(shown)

    def _left(self, person: SimulatedPerson) -> int:
        return sum(self._account.sends_left(person))

    async def _say(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        openid, text = asked["openid"], asked["text"]
        self._account.wrote(openid, text)
        lose, self._lose_next = self._lose_next, 0
        self._start(self._pusher.push(self._pusher.message(openid, "text", Content=text), lose=lose))
        return web.json_response({})

    async def _act(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        openid, event = asked["openid"], asked["event"]
        if event in ("subscribe", "SCAN", "CLICK"):
            self._account.acted(openid)
        self._account.people[openid].follows = event != "unsubscribe"
        if event == "unsubscribe":  # the phone forgets the chat, as phones do
            self._account.people[openid].screen.clear()
            self._account.people[openid].wrote.clear()
        key = {"CLICK": asked.get("text") or CLICKED, "SCAN": "42"}.get(event, "")
        self._start(self._pusher.push(self._pusher.event(openid, event, EventKey=key)))
        return web.json_response({})

    async def _send(self, request: web.Request) -> web.Response:
        """What isn't text. The text beside a voice is what the platform hears in it."""
        asked = await _asked(request)
        openid, name, heard = asked["openid"], asked["kind"], asked.get("text", "")
        if name not in _SENT:
            raise web.HTTPBadRequest(text=f"kind: expected one of {', '.join(_SENT)}")
        kind, shown, mime = _SENT[name]
        fields = {"Content": UNSUPPORTED} if name == "sticker" else {}
        if mime:
            fields["MediaId"] = secrets.token_hex(16)
            medium = UploadedMedium(f"a {name} of nothing".encode(), mime, self._account.clock.now())
            self._account.media[fields["MediaId"]] = medium
        if name == "voice" and heard:
            fields["Recognition"], shown = heard, f"{shown} {heard}"
        self._account.wrote(openid, shown)
        lose, self._lose_next = self._lose_next, 0
        self._start(self._pusher.push(self._pusher.message(openid, kind, **fields), lose=lose))
        return web.json_response({})

    async def _fault(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        name = asked["name"]
        if name in _NEXT_SEND:
            self._api.faults.add(SEND, _NEXT_SEND[name])
        elif name in _SWITCHES:
            _SWITCHES[name](self._account, asked.get("on", "true") == "true")
        elif name == "lose the next answer":
            self._lose_next += 1
        elif name == "tokens revoked":
            self._account.revoke_tokens()
        elif name == "token unavailable":
            self._api.faults.add(TOKEN, Fault("status", 502))
        elif name == "hours later":
            self._account.clock.advance(3600.0 * float(asked.get("hours", "1")))
        elif name == "slow platform":
            self._api.delay_seconds = float(asked.get("seconds", "0"))
        elif name == "format":
            self._pusher.format = "json" if self._pusher.format == "xml" else "xml"
        else:
            raise web.HTTPBadRequest(text=f"name: not a fault of this simulator: {name}")
        return web.json_response({})

    def _start(self, push: Coroutine[Any, Any, Pushed]) -> None:
        if len(self._under_way) >= MAX_UNDER_WAY:
            push.close()
            raise web.HTTPServiceUnavailable(text="too many pushes are under way")
        task = asyncio.create_task(push)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Pushed]) -> None:
        self._under_way.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        said = repr(error) if error is not None else _said(task.result())
        self._last = [*self._last[-4:], said]


def lines_of(person: SimulatedPerson) -> list[dict[str, Any]]:
    """The chat as the phone has it, both sides, in order."""
    own = [{"who": "me", "text": wrote.text, "at": wrote.at} for wrote in person.wrote]
    theirs = [{"who": shown.via, "text": shown.text, "at": shown.at, "ai": shown.is_ai} for shown in person.screen]
    return sorted([*own, *theirs], key=lambda line: float(str(line["at"])))


def _said(pushed: Pushed) -> str:
    shown = "silence" if pushed.shown is None else pushed.shown.via
    return f"{pushed.fields['MsgType']}: {', '.join(pushed.tries)} → {shown}, {pushed.seconds:.1f} s"


async def _asked(request: web.Request) -> dict[str, str]:
    """Only from the page itself: a form of some other page can't send this type."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Content-Type: expected application/json")
    try:
        asked = json.loads(await request.read())
        return {str(name): str(value) for name, value in asked.items()}
    except (ValueError, AttributeError):
        raise web.HTTPBadRequest(text="body: expected a JSON object") from None
