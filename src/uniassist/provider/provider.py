"""A provider: what it is, and the handlers that answer for it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.interaction import Ack, InteractionEvent
from uniassist.contracts.provider import (
    Capabilities,
    ErasureRequest,
    InteractResponse,
    InvokeResponse,
    ProviderManifest,
    Security,
    Sla,
)
from uniassist.provider.answer import Answer
from uniassist.provider.call import Call, Said
from uniassist.web.health import Check

Handler = Callable[[Call], Said | Awaitable[Said]]
Eraser = Callable[[ErasureRequest], Awaitable[None] | None]
H = TypeVar("H", bound=Handler)
E = TypeVar("E", bound=Eraser)

EVENTS = (
    "ack",
    "assistant_message",
    "card",
    "form",
    "nav",
    "request_clarification",
    "error",
    "provider_extension",
)
_ID = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_UNKNOWN = {
    "zh": "这里没有可以这样操作的内容，请直接写下你的需求。",
    "en": "There is nothing here to do that with. Please just write what you need.",
}


@dataclass
class Provider:
    """`provider_id`: as the gateway's providers file has it. `name`, `version`, `description`: for its manifest.

    `events`: the types of events that it may send; the manifest names them, and others are refused here.
    `streaming`: whether answers are shown while they are written.
    `answers_within_ms`: how long an answer in one piece may take; the gateway waits for 8 seconds by default.
    `streams_within_ms`: how long a streamed one may.
    ValueError for what no manifest may say.
    """

    provider_id: str
    name: str
    description: str
    version: str = "1"
    inputs: Sequence[str] = ("text",)
    events: Sequence[str] = EVENTS
    streaming: bool = True
    acks_within_ms: int = 1000
    answers_within_ms: int = 7500
    streams_within_ms: int = 590_000
    checks: dict[str, Check] = field(default_factory=dict, init=False)
    _invoke: Handler | None = field(default=None, init=False)
    _interact: Handler | None = field(default=None, init=False)
    _erase: Eraser | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if _ID.fullmatch(self.provider_id) is None:
            raise ValueError(f"provider_id: expected lower-case letters, digits, _ and -, got {self.provider_id!r}")
        if unknown := sorted(set(self.events) - set(EVENTS)):
            raise ValueError(f"events: expected some of {', '.join(EVENTS)}, got {', '.join(unknown)}")

    def invoke(self, handler: H) -> H:
        """Answers messages."""
        self._invoke = handler
        return handler

    def interact(self, handler: H) -> H:
        """Answers what people tap or submit. Without one they are told that nothing is here to do that with."""
        self._interact = handler
        return handler

    def erase(self, handler: E) -> E:
        """Erases what is kept of a person. Told again, it does it again. Without one, nothing is kept."""
        self._erase = handler
        return handler

    def check(self, name: str) -> Callable[[Check], Check]:
        """Of `/health`: raises when something doesn't work that an answer needs."""

        def add(check: Check) -> Check:
            self.checks[name] = check
            return check

        return add

    def run(self, port: int | None = None) -> None:
        """Serve until SIGTERM or Ctrl-C. Settings come from the environment; `port` where PORT isn't set."""
        from uniassist.provider.app import run

        run(self, port)

    def manifest(self, *, asks_for_token: bool) -> ProviderManifest:
        return ProviderManifest(
            schema_version=SCHEMA_VERSION,
            provider_id=self.provider_id,
            name=self.name,
            version=self.version,
            description=self.description,
            capabilities=Capabilities(
                inputs=list(self.inputs), interaction_events=list(self.events), streaming=self.streaming
            ),
            sla=Sla(ack_within_ms=self.acks_within_ms, max_sync_response_ms=self.answers_within_ms),
            security=Security(auth="bearer" if asks_for_token else "none", required_scopes=[]),
        )

    async def answer(self, call: Call, answer: Answer) -> None:
        """Have the handler say all that it says."""
        handler = self._interact if call.action is not None else self._invoke
        if handler is None:
            await call.say(_UNKNOWN[call.language])
            return
        said = handler(call)
        if isinstance(said, Awaitable):
            said = await said
        call.finish_message()
        await _say(call, answer, said)

    async def forget(self, asked: ErasureRequest) -> None:
        if self._erase is not None and (under_way := self._erase(asked)) is not None:
            await under_way


async def _say(call: Call, answer: Answer, said: Said) -> None:
    if said is None:
        return
    if isinstance(said, str):
        await call.say(said)
    elif isinstance(said, InvokeResponse):
        for event in [*([said.ack] if said.ack.message else []), *(said.immediate_events or [])]:
            answer.event(event)
        answer.end = type(answer.end)(
            expects_reply=said.expects_reply, stays_open=said.stays_open, passes=said.passes
        )
    elif isinstance(said, InteractResponse):
        for event in said.events:
            answer.event(event)
        answer.end = type(answer.end)(expects_reply=said.expects_reply)
    elif isinstance(said, list | tuple):
        for each in said:
            await call.send(each)
    else:
        await call.send(cast(InteractionEvent, said))


def invoked(provider_id: str, run_id: str, answer: Answer) -> InvokeResponse:
    """The answer to a message in one piece; its first event is the acknowledgement where it is one."""
    events = answer.events
    first = events[0] if events and isinstance(events[0], Ack) else Ack()
    rest = events[1:] if events and first is events[0] else events
    return InvokeResponse(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        provider_id=provider_id,
        ack=first,
        immediate_events=list(rest),
        expects_reply=answer.end.expects_reply,
        stays_open=answer.end.stays_open,
        passes=answer.end.passes,
    )


def interacted(run_id: str, answer: Answer) -> InteractResponse:
    return InteractResponse(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        events=answer.events,
        expects_reply=answer.end.expects_reply,
    )
