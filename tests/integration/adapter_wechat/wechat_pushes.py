"""What the platform sends, signed as it signs."""

from __future__ import annotations

import itertools
import time
from urllib.parse import urlencode

from tests.processes import WECHAT_TOKEN, ServiceProcess

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.inbound.messages import read_fields
from uniassist.web.calling.client import Answer, JsonClient

_numbers = itertools.count(1)


def fresh(what: str) -> str:
    """An openid or message id that no other test uses."""
    return f"{what}-{next(_numbers)}"


def message(openid: str, text: str = "你好", **changed: str) -> bytes:
    """A text message; `changed` replaces and adds fields, empty ones are left out."""
    fields = {
        "ToUserName": "gh_account",
        "FromUserName": openid,
        "CreateTime": str(int(time.time())),
        "MsgType": "text",
        "Content": text,
        "MsgId": fresh("msg"),
    } | changed
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items() if value)
    return f"<xml>{inner}</xml>".encode()


def signed(*, offset_seconds: int = 0, token: str = WECHAT_TOKEN) -> dict[str, str]:
    """A fresh query, as of each push."""
    timestamp, nonce = str(int(time.time()) + offset_seconds), fresh("nonce")
    return {"signature": signature.sign(token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}


async def push(
    client: JsonClient, adapter: ServiceProcess, body: bytes, query: dict[str, str] | None = None, **headers: str
) -> Answer:
    asked = urlencode(signed() if query is None else query)
    return await client.request(
        "POST",
        f"{adapter.url}/wechat/webhook?{asked}",
        body=body,
        headers={"Content-Type": "text/xml", **headers},
        timeout_seconds=30,
    )


def shown(answer: Answer) -> str | None:
    """What the person sees: the reply's text, or None for silence. Anything else fails the test."""
    assert answer.status == 200, answer
    if answer.body == b"success":
        return None
    assert answer.headers["content-type"].startswith("text/xml")
    fields = read_fields(answer.body)
    assert fields["MsgType"] == "text"
    return fields["Content"]
