"""Any endpoint that speaks OpenAI's chat completions: streamed, with the session's recent history.

What the model says is a message that is written; a call of its one tool hands over to a connected specialist.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
import structlog

from uniassist.contracts.interaction import AssistantMessage
from uniassist.contracts.provider import InvokeRequest
from uniassist.contracts.streaming import EVENT_STREAM, JSON_OR_STREAM
from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds import chat_messages
from uniassist.gateway.providers.kinds.chat_chunks import Completion, Usage
from uniassist.gateway.providers.kinds.chat_messages import Line
from uniassist.gateway.providers.kinds.kind import Asked, Hears, Said
from uniassist.gateway.providers.kinds.streamed import frames
from uniassist.web.calling.client import BadAnswer, BadStatus, CallFailed, JsonClient, OpenAnswer, TimedOut

log = structlog.get_logger()

LOOK_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 20.0  # that a busy endpoint may ask for
BUSY, TRIES = 429, 3
_TOO_LONG = (400, 413, 422)  # with a body that speaks of the context
_NOT_FOUND = (404, 405, 501)  # of a list of models, which not every endpoint has

History = Callable[[str, int], Awaitable[Sequence[Line]]]
"""A session, a seq of it → what was said until then, oldest first."""


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    instructions: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    extra: dict[str, Any] = {}  # whatever else the endpoint takes; what we say ourselves wins
    history_tokens: Annotated[int, msgspec.Meta(ge=0, le=200_000)] = 3000
    hands_over: bool = True


class OpenAiKind:
    """`on_usage`: called with the provider's id and what an answer cost."""

    options = Options

    def __init__(self, client: JsonClient, history: History, on_usage: Callable[[str, Usage], None]) -> None:
        self._client = client
        self._history = history
        self._on_usage = on_usage

    async def look(self, provider: Provider) -> str | None:
        try:
            await self._client.get_json(
                f"{provider.base_url}/models", dict, timeout_seconds=LOOK_SECONDS, headers=_headers(provider)
            )
        except BadStatus as error:
            return None if error.status in _NOT_FOUND else str(error)
        except CallFailed as error:
            return str(error)
        return None

    async def ask(self, asked: Asked, hears: Hears) -> Said:
        provider, body = asked.provider, await self._body(asked)
        ends_at = asyncio.get_running_loop().time() + provider.total_timeout_seconds
        try:
            return await self._asked(asked, body, ends_at, hears)
        except BadStatus as error:
            system, *history, said = body["messages"]
            if not (history and _is_too_long(error)):
                raise
        # Models count differently, and small ones take little. The message itself is what must be answered.
        log.warning(
            "the history is more than a chat's model takes: lower history_tokens", provider=provider.provider_id
        )
        return await self._asked(asked, body | {"messages": [system, said]}, ends_at, hears)

    async def _asked(self, asked: Asked, body: dict[str, Any], ends_at: float, hears: Hears) -> Said:
        """`ends_at`: by the loop's time."""
        provider = asked.provider
        loop = asyncio.get_running_loop()
        seconds = provider.timeout_seconds
        try:
            for tries in range(1, TRIES + 1):
                async with (
                    asyncio.timeout(seconds) as deadline,
                    self._client.opened(
                        f"{provider.base_url}/chat/completions",
                        body,
                        headers=_headers(provider) | dict(asked.headers) | {"Accept": JSON_OR_STREAM},
                    ) as answer,
                ):
                    if answer.status != BUSY or tries == TRIES:
                        seconds = provider.total_timeout_seconds
                        deadline.reschedule(ends_at)
                        return await self._heard(answer, asked, hears)
                    wait = _wait_seconds(answer, tries)
                if wait > LONGEST_WAIT_SECONDS or loop.time() + wait > ends_at:
                    break
                await asyncio.sleep(wait)
        except TimeoutError:
            raise TimedOut(f"{provider.provider_id}: no whole answer within {seconds:g} seconds") from None
        raise BadStatus(f"{provider.provider_id}: answered {BUSY}, busy for longer than we wait", BUSY, b"")

    async def _body(self, asked: Asked) -> dict[str, Any]:
        options, request, specialists = _options(asked), asked.request, _specialists(asked)
        session = request.context.session
        history: Sequence[Line] = ()
        if session is not None and options.history_tokens:
            history = await self._history(session.session_id, session.recent_events_cursor or 0)
        if isinstance(request, InvokeRequest):
            said = chat_messages.of_input(request.input)
            # The message itself is on the timeline by now.
            last = max((n for n, line in enumerate(history) if line.speaker == "person"), default=len(history))
            history = [line for number, line in enumerate(history) if number != last]
        else:
            said = chat_messages.of_interaction(request.interaction)
        tools = chat_messages.tools(specialists)
        body: dict[str, Any] = {
            "model": options.model,
            "messages": chat_messages.messages(
                said,
                history,
                own_id=asked.provider.provider_id,
                instructions=options.instructions,
                locale=request.context.user.locale,
                specialists=specialists,
                budget_tokens=options.history_tokens,
            ),
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
            "tools": tools or None,
        }
        return options.extra | {name: value for name, value in body.items() if value is not None}

    async def _heard(self, answer: OpenAnswer, asked: Asked, hears: Hears) -> Said:
        provider = asked.provider
        completion, pieces = Completion(), list[str]()
        key = asked.request.run.idempotency_key
        message_id = f"chat-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
        if not 200 <= answer.status < 300 or answer.media_type != EVENT_STREAM:
            whole = await answer.whole()
            if not 200 <= whole.status < 300:
                raise BadStatus(f"{provider.provider_id}: answered {whole.status}", whole.status, whole.body[:512])
            pieces += completion.feed(whole.body)
        else:
            async with aclosing(frames(answer, provider.idle_timeout_seconds)) as chunks:
                async for raw in chunks:
                    for text in completion.feed(raw):
                        hears.delta(message_id, text)
                        pieces.append(text)
                    if completion.is_done:  # some leave the connection open
                        break
        if completion.usage is not None:
            self._on_usage(provider.provider_id, completion.usage)
        if not completion.is_complete:
            raise BadAnswer("its answer stopped before its end")
        hands_over, refused = completion.hand_overs({each.provider_id for each in _specialists(asked)})
        if refused:
            log.warning("a chat's tool calls are refused", provider=provider.provider_id, why=refused)
        text = "".join(pieces)
        if not text.strip() and not hands_over:
            raise BadAnswer("it said nothing")
        if text.strip():
            await hears.event(AssistantMessage(text=text, markdown=True, message_id=message_id))
        return Said((), hands_over=hands_over)


def _options(asked: Asked) -> Options:
    options = asked.provider.options
    assert isinstance(options, Options), "the file's entry was read with this shape"
    return options


def _specialists(asked: Asked) -> Sequence[Provider]:
    """To whom the model may hand over: of a message only."""
    may = _options(asked).hands_over and isinstance(asked.request, InvokeRequest)
    return asked.specialists if may else ()


def _headers(provider: Provider) -> dict[str, str]:
    return {"Authorization": f"Bearer {provider.token}"} if provider.token is not None else {}


def _is_too_long(error: BadStatus) -> bool:
    """Whether the endpoint refuses the request for its length, as OpenAI, llama.cpp and vLLM say it."""
    return error.status in _TOO_LONG and b"context" in error.body.lower()


def _wait_seconds(answer: OpenAnswer, tries: int) -> float:
    """What Retry-After says, in seconds; where it says nothing that can be read, a little more each time."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else 0.5 * 2**tries
