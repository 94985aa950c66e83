"""Our own kind: `/v0/invoke` and `/v0/interact`, answered as JSON or, by whose manifest says so, as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import cast

from uniassist.contracts import codec
from uniassist.contracts.bounds import MAX_NESTING
from uniassist.contracts.interaction import Ack, InteractionEvent
from uniassist.contracts.provider import (
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
    ProviderManifest,
)
from uniassist.contracts.streaming import EVENT_STREAM, JSON_OR_STREAM, StreamDelta, StreamEvent, StreamFrame
from uniassist.errors import UniAssistError
from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.kind import Asked, Hears, Said
from uniassist.gateway.providers.kinds.streamed import frames
from uniassist.web.calling.client import BadAnswer, CallFailed, JsonClient, OpenAnswer, TimedOut

MANIFEST_DEADLINE_SECONDS = 5.0
MAX_EVENTS = 100
_FRAME = cast("type[StreamFrame]", StreamFrame)  # a union is a shape to msgspec, and no type[…] to mypy


class UniassistKind:
    options = None

    def __init__(self, client: JsonClient) -> None:
        self._client = client
        self._streaming: set[tuple[str, str | None]] = set()  # whose manifest says so, at which URL

    async def look(self, provider: Provider) -> str | None:
        """CallFailed is an answer as well: calls are made all the same, the breaker judges those."""
        try:
            manifest = await self._client.get_json(
                f"{provider.base_url}/.well-known/uniassist/manifest.json",
                ProviderManifest,
                timeout_seconds=MANIFEST_DEADLINE_SECONDS,
            )
        except CallFailed as error:
            return str(error)
        if manifest.provider_id != provider.provider_id:
            return f"its manifest says {manifest.provider_id}: is base_url another provider's?"
        key = (provider.provider_id, provider.base_url)
        if manifest.capabilities.streaming:
            self._streaming.add(key)
        else:
            self._streaming.discard(key)
        return None

    async def ask(self, asked: Asked, hears: Hears) -> Said:
        provider, request = asked.provider, asked.request
        url, headers = f"{provider.base_url}/v0/{asked.kind}", dict(asked.headers)
        if provider.token is not None:
            headers["Authorization"] = f"Bearer {provider.token}"
        if (provider.provider_id, provider.base_url) in self._streaming:
            return await self._ask_either(asked, url, headers, hears)
        answer = await self._client.post_json(
            url, request, _shape(request), timeout_seconds=provider.timeout_seconds, headers=headers
        )
        return _said(answer, request)

    async def _ask_either(self, asked: Asked, url: str, headers: dict[str, str], hears: Hears) -> Said:
        """The provider chooses: JSON, with the deadline of a call, or a stream with its own two."""
        provider, request = asked.provider, asked.request
        headers["Accept"] = JSON_OR_STREAM
        began, seconds = asyncio.get_running_loop().time(), provider.timeout_seconds
        try:
            async with (
                asyncio.timeout(seconds) as deadline,
                self._client.opened(url, request, headers=headers) as answer,
            ):
                if not (200 <= answer.status < 300 and answer.media_type == EVENT_STREAM):
                    return _said(self._client.shaped(url, await answer.whole(), _shape(request)), request)
                seconds = provider.total_timeout_seconds
                deadline.reschedule(began + seconds)
                return await _streamed(answer, provider.idle_timeout_seconds, hears)
        except TimeoutError:
            raise TimedOut(f"{provider.provider_id}: no whole answer within {seconds:g} seconds") from None


async def _streamed(answer: OpenAnswer, idle_seconds: float, hears: Hears) -> Said:
    async with aclosing(frames(answer, idle_seconds)) as said:
        async for raw in said:
            try:
                frame = codec.decode(raw, _FRAME, nesting=MAX_NESTING + 1)
            except UniAssistError as error:
                raise BadAnswer(f"a frame of its stream: {error.detail}") from None
            if isinstance(frame, StreamDelta):
                hears.delta(frame.message_id, frame.text)
            elif isinstance(frame, StreamEvent):
                if not isinstance(frame.event, Ack) or frame.event.message:
                    await hears.event(frame.event)
            else:  # what comes after the end isn't read
                return Said((), frame.expects_reply, stays_open=frame.stays_open, passes=frame.passes is True)
    raise BadAnswer("its stream stopped without an end")


def _shape(request: InvokeRequest | InteractRequest) -> type[InvokeResponse | InteractResponse]:
    return InvokeResponse if isinstance(request, InvokeRequest) else InteractResponse


def _said(answer: InvokeResponse | InteractResponse, request: InvokeRequest | InteractRequest) -> Said:
    """What the answer says to the person. BadAnswer when it is another run's, or too much."""
    if answer.run_id != request.run.run_id:
        raise BadAnswer("runId: expected that of the request")
    events: Sequence[InteractionEvent]
    if isinstance(answer, InteractResponse):
        events = answer.events
    else:
        if isinstance(request, InvokeRequest) and answer.provider_id != request.run.provider_id:
            raise BadAnswer("providerId: expected that of the request")
        acknowledged: list[InteractionEvent] = [answer.ack] if answer.ack.message else []
        events = [*acknowledged, *(answer.immediate_events or [])]
    if len(events) > MAX_EVENTS:
        raise BadAnswer(f"events: at most {MAX_EVENTS}")
    if isinstance(answer, InteractResponse):
        return Said(events, answer.expects_reply)
    return Said(events, answer.expects_reply, stays_open=answer.stays_open, passes=answer.passes is True)
