"""JSON-RPC's requests, both bindings' events as bytes, and what a message says. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from uniassist.contracts import codec
from uniassist.contracts.inputs import Attachment
from uniassist.errors import InvalidRequest
from uniassist.gateway.fronts.a2a import faults
from uniassist.gateway.fronts.a2a.faults import Fault
from uniassist.gateway.fronts.a2a.shapes import Message, RpcAnswer, RpcRequest, StreamResponse

T = TypeVar("T")


def read(body: bytes) -> RpcRequest:
    try:
        return codec.decode(body, RpcRequest)
    except InvalidRequest as error:
        code = faults.PARSE if "well-formed" in error.detail else faults.INVALID
        raise Fault(code, error.detail) from None


def params_of(asked: RpcRequest, shape: type[T]) -> T:
    try:
        return codec.convert(asked.params, shape)
    except InvalidRequest as error:
        raise Fault(faults.PARAMS, error.detail) from None


class Content(NamedTuple):
    """What a message says. `data`: what it answers with; its text is that as JSON where there is no other."""

    text: str
    attachments: list[Attachment]
    data: Any = None


def content(message: Message) -> Content:
    texts, attachments, data = list[str](), list[Attachment](), None
    for number, part in enumerate(message.parts):
        if part.text is not None:
            texts.append(part.text)
        elif part.url is not None and part.url.startswith(("https://", "http://")):
            attachments.append(_attachment(part.url, part.media_type, part.filename, f"file-{number}"))
        elif part.data is not None and message.task_id and data is None:
            data = part.data
        else:
            expected = "text, a file by its http(s) URL, or into a task the data that it asks for"
            raise Fault(faults.CONTENT_TYPE, f"message.parts[{number}]: expected {expected}")
    text = "\n".join(texts) or (codec.encode(data).decode() if data is not None else "")
    if not text.strip() and not attachments:
        raise InvalidRequest("message.parts: expected some text")
    return Content(text, attachments, data)


def _attachment(url: str, mime: str | None, name: str | None, attachment_id: str) -> Attachment:
    kind = (mime or "").partition("/")[0]
    return Attachment(
        id=attachment_id,
        type="image" if kind == "image" else "audio" if kind == "audio" else "file",
        url=url,
        mime=mime or None,
        name=name or None,
    )


def frame(asked: RpcRequest, said: StreamResponse, seq: int | None = None) -> bytes:
    """`seq`: of the event that it tells; None: of a piece, which isn't kept."""
    return _event(RpcAnswer("2.0", asked.id, said), seq)


def plain_frame(said: StreamResponse, seq: int | None = None) -> bytes:
    """As HTTP+JSON has it; `seq` as there."""
    return _event(said, seq)


def _event(told: RpcAnswer | StreamResponse, seq: int | None) -> bytes:
    data = codec.encode(told)
    return b"data: %b\n\n" % data if seq is None else b"id: %d\ndata: %b\n\n" % (seq, data)
