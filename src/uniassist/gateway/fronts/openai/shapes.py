"""OpenAI's wire types, as far as chat completions over sessions need them. What isn't here is ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from uniassist.contracts.base import MAX_ID_LENGTH, Id

ROUTER = "uniassist"


class ImageUrl(msgspec.Struct, frozen=True):
    url: str


class Part(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None
    image_url: ImageUrl | None = None


class ChatMessage(msgspec.Struct, frozen=True):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """`metadata`: `session_id`, `locale` and `timezone` are read. `n`: only 1."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]
    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Id | None = None
    n: int | None = None
    metadata: dict[str, str] | None = None


class AnswerMessage(msgspec.Struct, frozen=True):
    role: Literal["assistant"]
    content: str
    refusal: None = None


class Choice(msgspec.Struct, frozen=True):
    index: int
    message: AnswerMessage
    finish_reason: Literal["stop"]
    logprobs: None = None


class ChatCompletion(msgspec.Struct, frozen=True):
    """`id`: of the request, the same when it is repeated under its key. `created`: Unix seconds."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct, frozen=True):
    index: int
    delta: Delta
    finish_reason: Literal["stop"] | None = None


class ChatCompletionChunk(msgspec.Struct, frozen=True):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]


class Usage(msgspec.Struct, frozen=True):
    """None: what a provider's model took is the provider's matter."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class UsageChunk(msgspec.Struct, frozen=True):
    """The last one, for who asks for it by `stream_options`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage


class Model(msgspec.Struct, frozen=True):
    """`created` is 0: a provider is connected by a file, which has no time."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(msgspec.Struct, frozen=True):
    object: Literal["list"]
    data: list[Model]


class ErrorBody(msgspec.Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAiError(msgspec.Struct, frozen=True):
    error: ErrorBody


EXAMPLE: dict[str, Any] = {"model": ROUTER, "messages": [{"role": "user", "content": "who are you?"}]}
