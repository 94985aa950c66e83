"""Pushes to the account's server: signed, in all modes and formats, cut after five seconds, three in all."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from defusedxml.ElementTree import fromstring

from uniassist.wechat_simulator.account import MAX_TEXT_BYTES, Shown, SimulatedAccount
from uniassist.wechat_simulator.sealing import Seal, sign

Mode = Literal["plain", "compatible", "safe"]
Format = Literal["xml", "json"]
UNSUPPORTED = "【收到不支持的消息类型，暂无法显示】"  # what the platform writes in place of a sticker
NOTICE = "该公众号暂时无法提供服务，请稍后再试"
TRIES = 3
ACCOUNT = "gh_simulated"

_serial = itertools.count(int(time.time()) * 1000)


@dataclass
class Pushed:
    """One message on its way: how each try went, and what the person saw of it."""

    fields: dict[str, Any]
    tries: list[str] = field(default_factory=list)
    shown: Shown | None = None
    seconds: float = 0.0

    @property
    def text(self) -> str | None:
        return None if self.shown is None else self.shown.text


class Pusher:
    """`webhook` is where the account's server listens."""

    def __init__(self, account: SimulatedAccount, *, token: str, aes_key: str | None) -> None:
        self.webhook = ""
        self.mode: Mode = "plain" if aes_key is None else "safe"
        self.format: Format = "xml"
        self.cut_seconds = 5.0
        self.session: aiohttp.ClientSession | None = None
        self._account = account
        self._left: dict[str, int] = {}
        self._token = token
        self._seal = Seal(aes_key, account.app_id) if aes_key is not None else None

    def message(self, openid: str, kind: str, **fields: Any) -> dict[str, Any]:
        return self._fields(openid, kind) | {"MsgId": next(_serial)} | fields

    def event(self, openid: str, event: str, **fields: Any) -> dict[str, Any]:
        made = self._fields(openid, "event") | {"Event": event} | fields
        if event == "unsubscribe":
            self._left[openid] = made["CreateTime"]
        return made

    async def push(self, fields: dict[str, Any], *, lose: int = 0) -> Pushed:
        """Push until there is an answer, at most three times; the first `lose` answers get lost on their way."""
        pushed = Pushed(fields)
        began = time.monotonic()
        for number in range(TRIES):
            answer = await self._try(fields)
            if number < lose:
                answer = f"lost: {answer!r}"
            if isinstance(answer, str):
                pushed.tries.append(answer)
                continue
            pushed.tries.append("answered")
            self._judge(pushed, answer)
            break
        else:
            self._show(pushed, NOTICE, notice=True)
        pushed.seconds = time.monotonic() - began
        return pushed

    async def handshake(self) -> bool:
        """As the platform's configuration page does it."""
        assert self.session is not None
        echo = secrets.token_hex(8)
        async with self.session.get(self.webhook, params=self._signed() | {"echostr": echo}) as answer:
            return answer.status == 200 and await answer.text() == echo

    def _fields(self, openid: str, kind: str) -> dict[str, Any]:
        return {
            "ToUserName": ACCOUNT,
            "FromUserName": openid,
            # nobody follows again within the second
            "CreateTime": max(int(time.time()), self._left.get(openid, -1) + 1),
            "MsgType": kind,
        }

    async def _try(self, fields: dict[str, Any]) -> bytes | str:
        """The answer's body, or why there is none."""
        assert self.session is not None
        query, body = self._sealed(fields)
        kind = "application/json" if self.format == "json" else "text/xml"
        limit = aiohttp.ClientTimeout(total=self.cut_seconds)
        try:
            async with self.session.post(
                self.webhook, params=query, data=body, headers={"Content-Type": kind}, timeout=limit
            ) as answer:
                raw = await answer.read()
                return raw if answer.status == 200 else f"status {answer.status}"
        except TimeoutError:
            return "cut"
        except aiohttp.ClientError as error:
            await asyncio.sleep(0.1)
            return type(error).__name__

    def _signed(self) -> dict[str, str]:
        timestamp, nonce = str(int(time.time())), secrets.token_hex(5)
        return {"signature": sign(self._token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}

    def _sealed(self, fields: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        query, body = self._signed(), self._written(fields)
        if self.mode == "plain":
            return query, body
        assert self._seal is not None
        encrypted = self._seal.close(body)
        timestamp, nonce = query["timestamp"], query["nonce"]
        query |= {"encrypt_type": "aes", "msg_signature": sign(self._token, timestamp, nonce, encrypted)}
        plain = fields if self.mode == "compatible" else {"ToUserName": fields["ToUserName"]}
        return query, self._written(plain | {"Encrypt": encrypted})

    def _written(self, fields: dict[str, Any]) -> bytes:
        if self.format == "json":
            return json.dumps(fields, ensure_ascii=False).encode()
        root = ET.Element("xml")
        for name, value in fields.items():
            ET.SubElement(root, name).text = str(value)
        return bytes(ET.tostring(root, encoding="utf-8"))

    def _judge(self, pushed: Pushed, raw: bytes) -> None:
        if raw in (b"", b"success"):
            return
        try:
            reply = self._opened(self._read(raw))
            good = (
                reply["ToUserName"] == pushed.fields["FromUserName"]
                and reply["FromUserName"] == ACCOUNT
                and int(reply["CreateTime"]) > 0
                and reply["MsgType"] == "text"
                and 0 < len(reply["Content"].encode()) <= MAX_TEXT_BYTES
            )
        except (ValueError, KeyError, ET.ParseError):
            good = False
        self._show(pushed, reply["Content"] if good else NOTICE, notice=not good)

    def _opened(self, outer: dict[str, str]) -> dict[str, str]:
        if self.mode == "plain":
            return outer
        assert self._seal is not None
        if outer["MsgSignature"] != sign(self._token, outer["TimeStamp"], outer["Nonce"], outer["Encrypt"]):
            raise ValueError("MsgSignature")
        return self._read(self._seal.open(outer["Encrypt"]))

    def _read(self, raw: bytes) -> dict[str, str]:
        if self.format == "json":
            return {name: str(value) for name, value in json.loads(raw).items()}
        root = fromstring(raw, forbid_dtd=True)
        if root.tag != "xml":
            raise ValueError(root.tag)
        return {each.tag: each.text or "" for each in root}

    def _show(self, pushed: Pushed, text: str, *, notice: bool) -> None:
        pushed.shown = Shown("notice" if notice else "passive", text, self._account.clock.now())
        self._account.people[pushed.fields["FromUserName"]].screen.append(pushed.shown)
