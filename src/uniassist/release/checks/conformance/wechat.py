"""The WeChat adapter's side of the v0 contract."""

from __future__ import annotations

import hashlib
import time

from uniassist.release.checks.conformance.targets import Check, Targets
from uniassist.release.checks.service_client import (
    ServiceClient,
    new_session,
)
from uniassist.release.report.checklist import Skipped, equal, expect
from uniassist.web.auth.signing import fresh_nonce


class WechatChecks:
    """The channel's webhook, in plain mode."""

    def __init__(self, adapter: ServiceClient, targets: Targets) -> None:
        self._adapter = adapter
        self._targets = targets

    def all(self) -> dict[str, Check]:
        return {
            "a handshake with a bad signature is refused": self.refuses,
            "handshake": self.handshake,
            "a text message gets its reply": self.text,
        }

    def _query(self, **more: str) -> str:
        if self._targets.wechat_token is None:
            raise Skipped("no WECHAT_TOKEN given")
        timestamp, nonce = str(int(time.time())), fresh_nonce()
        joined = "".join(sorted([self._targets.wechat_token, timestamp, nonce]))
        signature = hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 - the platform's protocol
        fields = {"signature": signature, "timestamp": timestamp, "nonce": nonce, **more}
        return "&".join(f"{name}={value}" for name, value in fields.items())

    async def refuses(self) -> None:
        query = f"signature={'0' * 40}&timestamp={int(time.time())}&nonce=1&echostr=hello"
        equal("status", (await self._adapter.get(f"/wechat/webhook?{query}")).status, 403)

    async def handshake(self) -> None:
        answer = await self._adapter.get(f"/wechat/webhook?{self._query(echostr='hello-check')}")
        equal("answer", (answer.status, answer.body), (200, b"hello-check"))

    async def text(self) -> str:
        openid, now = f"o-{new_session()}", int(time.time())
        body = (
            f"<xml><ToUserName>gh_check</ToUserName><FromUserName>{openid}</FromUserName>"
            f"<CreateTime>{now}</CreateTime><MsgType>text</MsgType><Content>你好</Content>"
            f"<MsgId>{time.time_ns()}</MsgId></xml>"
        ).encode()
        path = f"/wechat/webhook?{self._query()}"
        answer = await self._adapter.post(path, body, {"Content-Type": "text/xml"})
        equal("status", answer.status, 200)
        text = answer.body.decode("utf-8", "replace")
        expect(text == "success" or openid in text, f"expected a reply to {openid} or success, got {text[:120]!r}")
        return "reply" if openid in text else "success"
