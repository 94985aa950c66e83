"""What a chat completion says, chunk by chunk or at once: text, calls of the tool, usage, its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from uniassist.contracts import codec
from uniassist.errors import UniAssistError
from uniassist.gateway.providers.kinds.chat_messages import HAND_OVER, MAX_REQUEST_CHARACTERS
from uniassist.gateway.providers.kinds.kind import HandOver
from uniassist.web.calling.client import BadAnswer

MAX_TOOL_CALLS = 4
MAX_ARGUMENT_CHARACTERS = 20_000
DONE = b"[DONE]"


class _Function(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, frozen=True):
    index: int = 0
    function: _Function | None = None


class _Said(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: object = None


class _Arguments(msgspec.Struct, frozen=True):
    provider: str
    request: str | None = None


@dataclass
class Completion:
    """Fed chunks; `is_complete` once one said why it ended, `is_done` when no other follows."""

    usage: Usage | None = None
    is_complete: bool = False
    is_done: bool = False
    _calls: dict[int, tuple[str, str]] = field(default_factory=dict)

    def feed(self, raw: bytes) -> Iterator[str]:
        """The text of a chunk. BadAnswer."""
        if raw.strip() == DONE:
            self.is_complete = self.is_done = True
            return
        try:
            chunk = codec.decode(raw, _Chunk)
        except UniAssistError as error:
            raise BadAnswer(f"a chunk of its answer: {error.detail}") from None
        if chunk.error is not None:
            raise BadAnswer("it answered with an error")
        self.usage = chunk.usage or self.usage
        for choice in (chunk.choices or ())[:1]:
            said = choice.delta or choice.message
            if said is not None and said.content:
                yield said.content
            for number, call in enumerate((said.tool_calls if said is not None else None) or ()):
                # In a whole answer all have index 0, and each is complete.
                self._add(number if choice.message is not None else call.index, call.function or _Function())
            if choice.finish_reason is not None:
                self.is_complete = True

    def _add(self, index: int, function: _Function) -> None:
        name, arguments = self._calls.get(index, ("", ""))
        arguments += function.arguments or ""
        if len(arguments) > MAX_ARGUMENT_CHARACTERS or (
            index not in self._calls and len(self._calls) >= MAX_TOOL_CALLS
        ):
            raise BadAnswer("calls of tools: too many, or too long")
        self._calls[index] = (name or function.name or "", arguments)

    def hand_overs(self, ids: set[str]) -> tuple[list[HandOver], list[str]]:
        """Those to one of `ids`, each once; and why the other calls of tools are refused."""
        found: dict[str, HandOver] = {}
        refused: list[str] = []
        for name, arguments in self._calls.values():
            try:
                asked = codec.decode(arguments.encode(), _Arguments)
            except (UniAssistError, UnicodeEncodeError):
                refused.append("arguments that aren't what was declared")
                continue
            if name != HAND_OVER or asked.provider not in ids:
                refused.append("a tool or a provider that there isn't")
                continue
            text = (asked.request or "").strip()[:MAX_REQUEST_CHARACTERS]
            found.setdefault(asked.provider, HandOver(asked.provider, text or None))
        return list(found.values()), refused
