"""An answer as OpenAI's chunks, or as one completion."""

from __future__ import annotations

from dataclasses import dataclass, field

from uniassist.contracts import codec
from uniassist.contracts.streaming import DeltaFrame
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.fronts.following import has_ended, said_in
from uniassist.gateway.fronts.openai.shapes import (
    AnswerMessage,
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Delta,
    OpenAiError,
    Usage,
    UsageChunk,
)
from uniassist.gateway.fronts.prose import Prose

DONE = b"data: [DONE]\n\n"
SIGN_OF_LIFE = b": still here\n\n"


@dataclass
class Completion:
    """`created`: Unix seconds. `with_usage`: the last chunk has it. Items of the answer go in, text comes out."""

    completion_id: str
    created: int
    model: str
    with_usage: bool = False
    _prose: Prose = field(default_factory=Prose)

    def text(self, item: TimelineEvent | DeltaFrame) -> str:
        """What it adds."""
        if isinstance(item, DeltaFrame):
            return self._prose.delta(item)
        if (event := said_in(item)) is not None:
            return self._prose.event(item.run_id, event)
        return self._prose.run_ended(item.run_id) if has_ended(item) else ""

    def rest(self) -> str:
        return self._prose.end()

    def begin(self) -> bytes:
        return self._chunk(Delta(role="assistant", content=""))

    def chunk(self, text: str) -> bytes:
        return self._chunk(Delta(content=text)) if text else b""

    def end(self) -> bytes:
        return self.chunk(self.rest()) + self._chunk(Delta(), "stop") + self._usage() + DONE

    def cut(self, why: OpenAiError) -> bytes:
        """In the place of an end: clients raise it."""
        return b"data: %b\n\n" % codec.encode(why)

    def whole(self, text: str) -> ChatCompletion:
        message = AnswerMessage("assistant", text)
        return ChatCompletion(
            self.completion_id, "chat.completion", self.created, self.model, [Choice(0, message, "stop")]
        )

    def _usage(self) -> bytes:
        if not self.with_usage:
            return b""
        usage = UsageChunk(self.completion_id, "chat.completion.chunk", self.created, self.model, [], Usage())
        return b"data: %b\n\n" % codec.encode(usage)

    def _chunk(self, delta: Delta, finish_reason: str | None = None) -> bytes:
        choice = ChunkChoice(0, delta, "stop" if finish_reason is not None else None)
        chunk = ChatCompletionChunk(self.completion_id, "chat.completion.chunk", self.created, self.model, [choice])
        return b"data: %b\n\n" % codec.encode(chunk)
