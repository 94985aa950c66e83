"""`/v1/chat/completions` and `/v1/models`: a conversation is a session, its last message an input."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.contracts.streaming import EVENT_STREAM
from uniassist.contracts.timeline import TimelineEvent
from uniassist.errors import IdempotencyMismatch, RateLimited, SessionNotFound, Unavailable
from uniassist.gateway.bounds.bounds import Bounds, give_back
from uniassist.gateway.callers import APPS, Callers
from uniassist.gateway.fronts.entrance import Entrance
from uniassist.gateway.fronts.following import Answer, Following, Requested, Stopped
from uniassist.gateway.fronts.openai import reading
from uniassist.gateway.fronts.openai.chunks import SIGN_OF_LIFE, Completion
from uniassist.gateway.fronts.openai.reading import ModelNotFound, refused
from uniassist.gateway.fronts.openai.shapes import (
    EXAMPLE,
    ROUTER,
    ChatCompletion,
    ChatRequest,
    Model,
    Models,
    OpenAiError,
)
from uniassist.gateway.fronts.openai.side_requests import side_answer
from uniassist.gateway.fronts.sealing import digest
from uniassist.gateway.intake import KEY, keyed
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.placed_stream import PlacedStream
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns.ids import new_id, now_ms
from uniassist.web import requests
from uniassist.web.auth.app_tokens import AppToken
from uniassist.web.bodies import read_body
from uniassist.web.operations import Content, Operation, Parameter, Refusing, serves
from uniassist.web.problems import set_trace_id
from uniassist.web.responses import json_response
from uniassist.web.traced import TRACEPARENT

LONGEST_WAIT_SECONDS = 600.0  # for an answer that isn't streamed; the run goes on all the same

_REFUSING = Refusing(OpenAiError, refused)
_SESSION = Parameter("x-uniassist-session", "header", "The session. Else metadata.session_id, else derived.")
_CHAT = Parameter("x-openwebui-chat-id", "header", "A conversation's own id, where the client sends one.")
_MODEL = Parameter("model", "path", "The model.", required=True, example=ROUTER)
_TAGS = ("openai",)


class _NotInTime(Unavailable):
    """`is_keyed`: repeated, it is the same request; without a key the client mustn't repeat it by itself."""

    def __init__(self, is_keyed: bool) -> None:
        super().__init__("no whole answer yet; the run goes on: ask again with the same Idempotency-Key")
        self._is_keyed = is_keyed

    @property
    def headers(self) -> dict[str, str]:
        return super().headers | {"x-should-retry": "true" if self._is_keyed else "false"}


class OpenAiRoutes:
    """`secret`: seals the sessions' derived names; the same for all instances."""

    def __init__(
        self,
        *,
        entrance: Entrance,
        following: Following,
        registry: ProviderRegistry,
        callers: Callers,
        bounds: Bounds,
        metrics: GatewayMetrics,
        secret: str,
    ) -> None:
        self._entrance = entrance
        self._following = following
        self._registry = registry
        self._callers = callers
        self._bounds = bounds
        self._metrics = metrics
        self._secret = secret

    @serves(
        Operation(
            "GET",
            "/v1/models",
            "The router and the connected providers, as OpenAI's models",
            Models,
            security=APPS,
            problems=(RateLimited, Unavailable),
            tags=_TAGS,
            refusing=_REFUSING,
        )
    )
    async def models(self, request: Request) -> Response:
        await self._callers.app(request)
        return json_response(Models("list", [_model(each) for each in self._ids()]))

    @serves(
        Operation(
            "GET",
            "/v1/models/{model}",
            "One of them",
            Model,
            parameters=(_MODEL,),
            security=APPS,
            problems=(ModelNotFound, RateLimited, Unavailable),
            tags=_TAGS,
            refusing=_REFUSING,
        )
    )
    async def model(self, request: Request) -> Response:
        await self._callers.app(request)
        return json_response(_model(self._known(requests.path_field(request, _MODEL.name))))

    @serves(
        Operation(
            "POST",
            "/v1/chat/completions",
            "An input, answered as OpenAI's chat completions",
            ChatCompletion,
            request=ChatRequest,
            request_example=EXAMPLE,
            parameters=(KEY, _SESSION, _CHAT, TRACEPARENT),
            security=APPS,
            problems=(ModelNotFound, SessionNotFound, IdempotencyMismatch, RateLimited, Unavailable),
            tags=_TAGS,
            description="The last message is the input; what is before it is the session's already "
            "(`docs/fronts-openai.md`).",
            refusing=_REFUSING,
            also=(Content("text/event-stream", description="Chunks, with stream: true"),),
        )
    )
    async def chat_completions(self, request: Request) -> Response:
        token = await self._callers.app(request)
        body = await read_body(request)
        asked = codec.decode(body, ChatRequest)
        model = self._known(asked.model)
        if (on_the_side := side_answer(asked)) is not None:
            return _said_at_once(
                Completion(f"chatcmpl-{new_id()}", now_ms() // 1000, asked.model), asked, on_the_side
            )
        text, attachments = reading.said(asked)
        user_id = self._user(request, token, asked)
        named, chat_id = (requests.header(request, each.name, max_length=256) for each in (_SESSION, _CHAT))
        session_id = reading.session_of(asked, named, chat_id, user_id, self._secret)
        idempotency = keyed(request, f"openai:{token.subject if token is not None else user_id}", body)
        trace_id = new_id()
        if idempotency is not None:  # the same for who repeats it, and for nobody else
            parts = [idempotency.scope, idempotency.key, idempotency.body_hash.hex()]
            trace_id = digest(parts, self._secret)
        set_trace_id(request, trace_id)
        metadata = asked.metadata or {}
        message = UnifiedUserInput(
            schema_version=SCHEMA_VERSION,
            trace_id=trace_id,
            user_id=user_id,
            session_id=session_id,
            source="api",
            timestamp_ms=now_ms(),
            text=text,
            attachments=attachments or None,
            locale=metadata.get("locale"),
            timezone=metadata.get("timezone"),
        )
        subject = token.subject if token is not None else None
        places = await self._bounds.stream_place(request, session_id, subject=subject)  # before anything is written
        try:
            requested = await self._entrance.ask(
                request,
                token,
                message,
                idempotency=idempotency,
                size_bytes=len(body),
                addressed=None if model == ROUTER else model,
            )
            completion = Completion(
                f"chatcmpl-{requested.trace_id}", requested.at_ms // 1000, asked.model, _wants_usage(asked)
            )
            answer = self._following.answer(requested, subject=subject, until=_until(token))
            if asked.stream:
                frames, kept, places = self._chunks(answer, completion), places, []  # the response gives them back
                return PlacedStream(frames, headers=_headers(requested), places=kept)
            whole = await self._whole(request, answer, completion, is_keyed=idempotency is not None)
            return json_response(whole, headers=_headers(requested))
        finally:
            give_back(places)

    def _ids(self) -> tuple[str, ...]:
        return (ROUTER, *(each for each in self._registry.catalogue.connected if each != ROUTER))

    def _known(self, model: str) -> str:
        if model not in self._ids():
            raise ModelNotFound(f"model: expected one of {', '.join(self._ids())}")
        return model

    def _user(self, request: Request, token: AppToken | None, asked: ChatRequest) -> str:
        """The token's; where apps need none the body's, else one for each API key that is shown."""
        if token is not None:
            return token.user_id
        return asked.user or f"openai-{digest([requests.bearer_token(request) or ''], self._secret)}"

    async def _chunks(self, answer: Answer, completion: Completion) -> AsyncIterator[bytes]:
        self._metrics.streams.inc()
        try:
            yield completion.begin()
            async with aclosing(answer) as items:
                async for item in items:
                    chunk = SIGN_OF_LIFE if item is None else completion.chunk(completion.text(item))
                    if chunk:
                        yield chunk
            yield completion.end()
        except Stopped:
            yield completion.cut(refused(_NotInTime(is_keyed=False)))
        finally:
            self._metrics.streams.dec()

    async def _whole(
        self, request: Request, answer: Answer, completion: Completion, *, is_keyed: bool
    ) -> ChatCompletion:
        pieces = list[str]()
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS), aclosing(answer) as items:
                async for item in items:
                    if isinstance(item, TimelineEvent):  # what is durable only: nothing need be begun anew
                        pieces.append(completion.text(item))
                    elif item is None and await request.is_disconnected():
                        raise Stopped
        except (Stopped, TimeoutError):
            raise _NotInTime(is_keyed) from None
        return completion.whole("".join(pieces) + completion.rest())


def _said_at_once(completion: Completion, asked: ChatRequest, text: str) -> Response:
    if not asked.stream:
        return json_response(completion.whole(text))
    completion.with_usage = _wants_usage(asked)
    chunks = completion.begin() + completion.chunk(text) + completion.end()
    return Response(chunks, media_type=EVENT_STREAM, headers={"Cache-Control": "no-cache"})


def _wants_usage(asked: ChatRequest) -> bool:
    return asked.stream_options is not None and asked.stream_options.include_usage is True


def _model(model_id: str) -> Model:
    return Model(model_id, "model", 0, ROUTER)


def _headers(requested: Requested) -> dict[str, str]:
    """The session, where a header can hold its id."""
    session_id = requested.session_id
    return {_SESSION.name: session_id} if session_id.isascii() and session_id.isprintable() else {}


def _until(token: AppToken | None) -> float | None:
    """By the loop's time."""
    return None if token is None else asyncio.get_running_loop().time() + token.expires_at - time.time()
