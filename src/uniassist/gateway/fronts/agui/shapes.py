"""What a client of AG-UI sends, as far as it is read. Unknown members are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from uniassist.contracts.base import Id, Wire
from uniassist.contracts.inputs import Attachment
from uniassist.errors import InvalidRequest


class Source(Wire, frozen=True):
    type: str
    value: str | None = None
    mime_type: str | None = None


class ContentPart(Wire, frozen=True):
    type: str
    text: str | None = None
    source: Source | None = None


class AgMessage(Wire, frozen=True):
    id: str
    role: str
    content: str | list[ContentPart] | dict[str, Any] | None = None


class ResumeEntry(Wire, frozen=True):
    interrupt_id: Id
    status: Literal["resolved", "cancelled"]
    payload: Any = None


class RunAgentInput(Wire, frozen=True):
    """`run_id`: the client's own; repeated in its thread, it is the same run."""

    thread_id: Id
    run_id: Id
    messages: list[AgMessage]
    resume: Annotated[list[ResumeEntry], msgspec.Meta(max_length=1)] | None = None


class AgCapabilities(Wire, frozen=True):
    """As AG-UI's AgentCapabilities has it."""

    transport: dict[str, bool]
    human_in_the_loop: dict[str, bool]


CAPABILITIES = AgCapabilities(
    transport={"streaming": True, "resumable": True}, human_in_the_loop={"supported": True, "interrupts": True}
)
EXAMPLE: dict[str, Any] = {
    "threadId": "thread-1",
    "runId": "run-1",
    "messages": [{"id": "m-1", "role": "user", "content": "who are you?"}],
}


def said(asked: RunAgentInput) -> tuple[str, list[Attachment]]:
    """The text and files of the last message, or of what it resumes with. InvalidRequest."""
    if asked.resume:
        return _of_payload(asked.resume[0]), []
    if not asked.messages or asked.messages[-1].role != "user":
        raise InvalidRequest("messages: expected the last one to be the user's, or resume")
    content, at = asked.messages[-1].content, f"messages[{len(asked.messages) - 1}].content"
    texts, files = list[str](), list[Attachment]()
    for number, part in enumerate(content if isinstance(content, list) else []):
        source = part.source
        if part.type == "text":
            texts.append(part.text or "")
        elif (
            source is not None and source.type == "url" and (source.value or "").startswith(("http://", "https://"))
        ):
            kind: Literal["image", "audio", "file"] = (
                "image" if part.type == "image" else "audio" if part.type == "audio" else "file"
            )
            files.append(Attachment(id=f"part-{number}", type=kind, url=source.value, mime=source.mime_type))
        else:
            raise InvalidRequest(f"{at}[{number}]: expected text, or a file by its http(s) URL")
    text = content if isinstance(content, str) else "\n".join(texts)
    if not text.strip() and not files:
        raise InvalidRequest(f"{at}: expected some text")
    return text, files


def _of_payload(entry: ResumeEntry) -> str:
    """As text, for who asked in words. Cancelling an interrupt is what "cancel" is in a chat."""
    if entry.status == "cancelled":
        return "cancel"
    if isinstance(entry.payload, str) and entry.payload.strip():
        return entry.payload
    if isinstance(entry.payload, dict) and entry.payload:
        return "\n".join(f"{name}: {value}" for name, value in entry.payload.items())
    raise InvalidRequest("resume[0].payload: expected a text, or an object of the form's values")
