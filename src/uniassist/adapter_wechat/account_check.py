"""What of an account's set-up is wrong, and the remedy of each. Changes nothing, and sends nobody anything.

`account` asks the platform as the adapter would; `webhook` asks the adapter as the platform would.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import EnvelopeCipher
from uniassist.adapter_wechat.inbound.messages import SILENCE
from uniassist.adapter_wechat.platform.codes import rid_of
from uniassist.contracts import codec
from uniassist.errors import UniAssistError
from uniassist.settings import WechatAccountSettings
from uniassist.web.calling.client import Answer, CallFailed, JsonClient

_SECONDS = 10.0
_ADDRESS = re.compile(r"\binvalid ip ([0-9A-Fa-f.:]{3,45})")
_NOBODY = "uniassist-check"  # an openid that no account has
_CLOCK_WARN_SECONDS = 60.0

Level = Literal["ok", "warn", "fail"]


class AccountFinding(msgspec.Struct, frozen=True):
    level: Level
    name: str
    said: str
    remedy: str = ""


_SECRET = "WECHAT_APP_SECRET is not this account's: make a new AppSecret under 基本配置 and set it"  # noqa: S105
_REMEDIES = {
    -1: "the platform is busy: try again in a minute",
    40001: _SECRET,
    40013: "WECHAT_APP_ID is not an account's AppID: copy it from 设置与开发 → 基本配置",
    40125: _SECRET,
    40243: "the AppSecret is frozen: unfreeze it under 基本配置",
    45009: "the day's calls are used up: wait until midnight (UTC+8), or reset them under 接口权限",
    45011: "asked too often: wait a minute",
    48001: "the account isn't verified (微信认证): passive replies only, until it is",
    50004: "the platform has closed this account's interface: see its messages to you",
    50007: "the account is frozen: see the platform's messages to you",
}


async def examine(client: JsonClient, settings: WechatAccountSettings, webhook_url: str) -> list[AccountFinding]:
    envelope, findings = _keys(settings)
    findings += await _account(client, settings)
    if all(finding.level != "fail" for finding in findings if finding.name == "AES key"):
        findings += await _webhook(client, settings, envelope, webhook_url)
    return findings


def _keys(settings: WechatAccountSettings) -> tuple[EnvelopeCipher | None, list[AccountFinding]]:
    if settings.encoding_aes_key is None:
        remedy = "let the page make an EncodingAESKey, choose 安全模式, and set WECHAT_ENCODING_AES_KEY"
        return None, [AccountFinding("warn", "AES key", "not set: plain mode, pushes can be forged", remedy)]
    if settings.app_id is None:
        said = "WECHAT_ENCODING_AES_KEY is set, WECHAT_APP_ID is not"
        return None, [AccountFinding("fail", "AES key", said, "set WECHAT_APP_ID: envelopes are made for it")]
    try:
        envelope = EnvelopeCipher(settings.encoding_aes_key.reveal(), settings.app_id)
    except ValueError as error:
        remedy = "copy the EncodingAESKey from 基本配置 → 服务器配置 again"
        return None, [AccountFinding("fail", "AES key", f"WECHAT_ENCODING_AES_KEY: {error}", remedy)]
    return envelope, [AccountFinding("ok", "AES key", "has its form")]


async def _account(client: JsonClient, settings: WechatAccountSettings) -> list[AccountFinding]:
    if settings.app_id is None or settings.app_secret is None:
        missing = "WECHAT_APP_ID" if settings.app_id is None else "WECHAT_APP_SECRET"
        return [AccountFinding("warn", "token", f"{missing} is not set: passive replies only", f"set {missing}")]
    asked = {
        "grant_type": "client_credential",
        "appid": settings.app_id,
        "secret": settings.app_secret.reveal(),
        "force_refresh": False,
    }
    url = f"{settings.api_base_url}/cgi-bin/stable_token"
    try:
        answer = await client.request("POST", url, body=codec.encode(asked), timeout_seconds=_SECONDS)
    except CallFailed as error:
        said = f"{settings.api_base_url}: {type(error).__name__}"
        return [AccountFinding("fail", "platform", said, "check WECHAT_API_BASE_URL, DNS, firewall and proxy")]
    read = _read(answer)
    if read is None:
        said = f"{settings.api_base_url}: status {answer.status}, not the platform's JSON"
        return [AccountFinding("fail", "platform", said, "check WECHAT_API_BASE_URL: something else answers there")]
    findings = [AccountFinding("ok", "platform", f"{settings.api_base_url} answers"), *_clock(answer)]
    token = read.get("access_token")
    if not isinstance(token, str) or not token:
        return [*findings, _refused("token", read)]
    findings.append(AccountFinding("ok", "token", "stable_token gives one: AppID, AppSecret and address are right"))
    return [*findings, await _permission(client, settings.api_base_url, token)]


def _clock(answer: Answer) -> Iterator[AccountFinding]:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return
    off = round(time.time() - theirs)
    if abs(off) < _CLOCK_WARN_SECONDS:
        yield AccountFinding("ok", "clock", "agrees with the platform's")
        return
    level: Level = "fail" if abs(off) >= signature.MAX_SKEW_SECONDS else "warn"
    way = "ahead of" if off > 0 else "behind"
    remedy = "set this machine's clock (NTP): pushes more than five minutes off are refused"
    yield AccountFinding(level, "clock", f"{abs(off)} seconds {way} the platform's", remedy)


async def _permission(client: JsonClient, base_url: str, token: str) -> AccountFinding:
    """Asked with an openid that nobody has: 40003 says that all else would have been allowed."""
    url = f"{base_url}/cgi-bin/message/custom/send?access_token={quote(token, safe='')}"
    body = codec.encode({"touser": _NOBODY, "msgtype": "text", "text": {"content": "-"}})
    try:
        read = _read(await client.request("POST", url, body=body, timeout_seconds=_SECONDS))
    except CallFailed as error:
        return AccountFinding(
            "fail", "permission", f"message/custom/send: {type(error).__name__}", "try again in a minute"
        )
    if read is None:
        return AccountFinding(
            "fail", "permission", "message/custom/send: no answer to read", "try again in a minute"
        )
    if read.get("errcode") == 40003:
        return AccountFinding("ok", "permission", "customer-service messages are allowed")
    return _refused("permission", read)


def _refused(name: str, read: dict[str, Any]) -> AccountFinding:
    code, message = read.get("errcode"), str(read.get("errmsg", ""))
    rid = rid_of(message)
    said = f"errcode {code}" + (f", rid {rid}" if rid else "")
    if code in (40164, 61004):
        found = _ADDRESS.search(message)
        address = found[1] if found else "the address that this machine calls from"
        return AccountFinding("fail", name, said, f"put {address} on the account's IP 白名单 (基本配置)")
    level: Level = "warn" if code == 48001 else "fail"
    remedy = _REMEDIES.get(code, "look the code up in the platform's 全局返回码") if isinstance(code, int) else ""
    return AccountFinding(level, name, said, remedy)


async def _webhook(
    client: JsonClient, settings: WechatAccountSettings, envelope: EnvelopeCipher | None, url: str
) -> list[AccountFinding]:
    token = settings.token.reveal()
    echo = secrets.token_hex(8)
    try:
        good = await client.request(
            "GET", f"{url}?{urlencode(_signed(token) | {'echostr': echo})}", timeout_seconds=_SECONDS
        )
        forged = await client.request(
            "GET", f"{url}?{urlencode(_signed(secrets.token_hex(8)) | {'echostr': echo})}", timeout_seconds=_SECONDS
        )
        shaken = _handshake(good, forged, echo, url)
        if shaken.level == "fail":
            return [shaken]
        query, body = _push(token, envelope)
        answer = await client.request("POST", f"{url}?{urlencode(query)}", body=body, timeout_seconds=_SECONDS)
    except CallFailed as error:
        remedy = "is the adapter up, and does the URL (its proxy, its certificate) lead to it?"
        return [AccountFinding("fail", "webhook", f"{url}: {type(error).__name__}", remedy)]
    return [shaken, _pushed(answer)]


def _handshake(good: Answer, forged: Answer, echo: str, url: str) -> AccountFinding:
    if good.status == 403:
        remedy = "the running adapter has another WECHAT_TOKEN: give both the same, and the platform's page too"
        return AccountFinding("fail", "handshake", f"{url}: 403", remedy)
    if good.status != 200 or good.body != echo.encode():
        remedy = "something else answers there; expected adapter-wechat's /wechat/webhook, without a redirect"
        return AccountFinding("fail", "handshake", f"{url}: status {good.status}, not the echo", remedy)
    if forged.status != 403:
        remedy = "something before the adapter answers for it; expected 403 from /wechat/webhook"
        return AccountFinding("fail", "handshake", f"{url}: a forged signature got {forged.status}", remedy)
    return AccountFinding("ok", "handshake", f"{url} shakes hands, and refuses a forged signature")


def _pushed(answer: Answer) -> AccountFinding:
    if answer.status == 200 and answer.body == SILENCE:
        return AccountFinding("ok", "push", "the adapter opens what the platform would push")
    detail = _detail(answer)
    if answer.status == 403 and detail.startswith("timestamp"):
        return AccountFinding("fail", "push", detail, "the adapter's clock is off: set it (NTP)")
    if answer.status == 403:
        remedy = "the running adapter has another WECHAT_ENCODING_AES_KEY or WECHAT_APP_ID: give both the same"
        return AccountFinding("fail", "push", detail, remedy)
    return AccountFinding(
        "fail", "push", f"status {answer.status} {detail}".strip(), "see the adapter's log and /health"
    )


def _push(token: str, envelope: EnvelopeCipher | None) -> tuple[dict[str, str], bytes]:
    """An event that the adapter knows nothing to do about."""
    fields = {
        "ToUserName": _NOBODY,
        "FromUserName": _NOBODY,
        "CreateTime": int(time.time()),
        "MsgType": "event",
        "Event": "uniassist_check",
    }
    query, body = _signed(token), codec.encode(fields)
    if envelope is None:
        return query, body
    sealed = envelope.seal(body, random=secrets.token_bytes(16))
    signed = signature.sign(token, query["timestamp"], query["nonce"], sealed)
    return query | {"encrypt_type": "aes", "msg_signature": signed}, codec.encode({"Encrypt": sealed})


def _signed(token: str) -> dict[str, str]:
    timestamp, nonce = str(int(time.time())), secrets.token_hex(8)
    return {"timestamp": timestamp, "nonce": nonce, "signature": signature.sign(token, timestamp, nonce)}


def _read(answer: Answer) -> dict[str, Any] | None:
    if answer.status != 200:
        return None
    try:
        return codec.decode(answer.body, dict[str, Any])
    except UniAssistError:
        return None


def _detail(answer: Answer) -> str:
    try:
        return str(codec.decode(answer.body, dict[str, Any]).get("detail", ""))
    except UniAssistError:
        return ""
