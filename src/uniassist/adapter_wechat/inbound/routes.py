"""`/wechat/webhook`: the platform's handshake and pushes, and the plain test entrance beside them."""

from __future__ import annotations

import secrets
import time
from typing import Any, ClassVar

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import Request
from starlette.responses import Response

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import EnvelopeCipher
from uniassist.adapter_wechat.identities import trace_id
from uniassist.adapter_wechat.inbound.answering import REPLY_SECONDS, EntranceMessage, Inbound, now
from uniassist.adapter_wechat.inbound.messages import MAX_BYTES, SILENCE, read_push, sealed_reply, text_reply
from uniassist.adapter_wechat.inbound.push_access import PushAccess, PushRefused
from uniassist.contracts import codec
from uniassist.errors import Unavailable, UniAssistError
from uniassist.web import requests
from uniassist.web.bodies import check_size, read_body
from uniassist.web.operations import Content, Operation, Parameter, serves
from uniassist.web.problems import PROBLEM_TYPE, problem_of, set_trace_id
from uniassist.web.responses import json_response

PATH = "/wechat/webhook"
_XML = "text/xml"
_TEXT = {"type": "string"}
_TAGS = ("wechat",)
_SENDER = (
    Parameter("signature", "query", "sha1 of the sorted, joined token, timestamp, nonce.", schema=_TEXT),
    Parameter("timestamp", "query", "Unix seconds.", schema=_TEXT),
    Parameter("nonce", "query", schema=_TEXT),
)
_SEALED = (
    Parameter("encrypt_type", "query", "aes in the encrypted modes.", schema=_TEXT),
    Parameter("msg_signature", "query", "As signature, with Encrypt as a fourth part.", schema=_TEXT),
)
_ENTRANCE = (
    "In dev and test, or with WECHAT_JSON_ENTRANCE=true, unsigned JSON is taken as well: "
    "`{openid, text, messageId?}` is answered `{ok, traceId, sessionId, runs, replyText}`, "
    "or 400 or 502 with `ok: false`."
)
_PUSH = (
    "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1772323200</CreateTime>"
    "<MsgType>text</MsgType><Content>帮我制定一个计划</Content><MsgId>1</MsgId></xml>"
)
_REPLY = (
    "<xml><ToUserName>o1</ToUserName><FromUserName>gh_1</FromUserName><CreateTime>1772323201</CreateTime>"
    "<MsgType>text</MsgType><Content>收到，正在交给“计划”处理。</Content></xml>"
)


class GatewayFailed(UniAssistError):
    status: ClassVar[int] = 502
    code = "GATEWAY_FAILED"
    title: ClassVar[str] = "The gateway failed"


class WebhookRoutes:
    """The handlers of the webhook.

    envelope: None for plain mode.
    entrance: whether unsigned JSON is taken, for tests.
    """

    def __init__(
        self,
        *,
        inbound: Inbound,
        token: str,
        envelope: EnvelopeCipher | None,
        entrance: bool,
        metrics: CollectorRegistry,
    ) -> None:
        self._inbound = inbound
        self._access = PushAccess(token, envelope)
        self._token = token
        self._envelope = envelope
        self._entrance = entrance
        self._pushes = Counter("uniassist_wechat_pushes", "Pushes by outcome.", ("outcome",), registry=metrics)
        self._seconds = Histogram(
            "uniassist_wechat_answer_seconds",
            "From a good push to its answer.",
            buckets=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, REPLY_SECONDS, 5.0),
            registry=metrics,
        )

    @serves(
        Operation(
            "GET",
            PATH,
            "The platform's handshake",
            Content("text/plain", description="The echostr, as it came."),
            response_example="5838479218127813673",
            parameters=(*_SENDER, Parameter("echostr", "query", schema=_TEXT)),
            problems=(PushRefused,),
            tags=_TAGS,
        )
    )
    async def handshake(self, request: Request) -> Response:
        return Response(self._access.check_handshake(requests.query(request)), media_type="text/plain")

    @serves(
        Operation(
            "POST",
            PATH,
            "A message or an event from the platform",
            Content(
                _XML,
                description="The reply to show, in the push's format; or `success` as text/plain: none.",
            ),
            request=Content(_XML, description="The platform's XML or JSON, plain or encrypted."),
            request_example=_PUSH,
            response_example=_REPLY,
            parameters=(*_SENDER, *_SEALED),
            problems=(PushRefused, GatewayFailed, Unavailable),
            tags=_TAGS,
            description=_ENTRANCE,
            body_limit_bytes=MAX_BYTES,
        )
    )
    async def push(self, request: Request) -> Response:
        began = now()
        query = requests.query(request)
        try:
            check_size(request)
            if self._entrance and _is_json(request) and not self._access.claims_platform(query):
                return await self._answer_entrance(request, await read_body(request), began)
            self._access.check_query(query)
            return await self._answer(request, query, await read_body(request), began)
        except Unavailable:
            self._pushes.labels("unanswered").inc()  # the platform's next push is answered
            raise
        except UniAssistError:
            self._pushes.labels("refused").inc()
            raise

    async def _answer(self, request: Request, query: dict[str, str], body: bytes, began: float) -> Response:
        opened = self._access.open(query, body)
        push = read_push(opened.fields)
        if push.message_id is not None:
            set_trace_id(request, trace_id(push.openid, push.message_id))
        text = await self._inbound.answer_push(push, began)
        self._pushes.labels("silent" if text is None else "replied").inc()
        self._seconds.observe(now() - began)
        if text is None:
            return Response(SILENCE, media_type="text/plain")
        reply = text_reply(push, text, now_seconds=int(time.time()), as_json=opened.is_json)
        if opened.is_sealed:
            reply = self._sealed(reply, opened.is_json)
        return Response(reply, media_type="application/json" if opened.is_json else _XML)

    def _sealed(self, reply: bytes, as_json: bool) -> bytes:
        assert self._envelope is not None, "an encrypted push was opened"
        encrypted = self._envelope.seal(reply, random=secrets.token_bytes(16))
        timestamp, nonce = str(int(time.time())), secrets.token_hex(8)
        signed = signature.sign(self._token, timestamp, nonce, encrypted)
        return sealed_reply(
            encrypted=encrypted, signature=signed, timestamp=timestamp, nonce=nonce, as_json=as_json
        )

    async def _answer_entrance(self, request: Request, body: bytes, began: float) -> Response:
        try:
            answer = await self._inbound.answer_entrance(codec.decode(body, EntranceMessage), began)
            if answer is None:
                raise GatewayFailed("the gateway did not take the message")
        except UniAssistError as error:
            return _refusal(error)
        set_trace_id(request, answer.trace_id)
        return json_response(answer)


def _refusal(error: UniAssistError) -> Response:
    body: dict[str, Any] = {"ok": False, **msgspec.to_builtins(problem_of(error))}
    return Response(codec.encode(body), error.status, error.headers, PROBLEM_TYPE)


def _is_json(request: Request) -> bool:
    return (requests.header(request, "content-type") or "").split(";")[0].strip().lower() == "application/json"
