"""What a client of AG-UI sends, as far as it is read. Unknown members are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from uniassist.contracts.base import MAX_ID_LENGTH, Id, Wire
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
    resume: Annotated[list[ResumeEntry], msgspec.Meta(max_length=20)] | None = None


class AgCancelled(Wire, frozen=True, omit_defaults=False):
    """`runs`: ours that were under way, and are cancelled now."""

    runs: list[str]


class AgCapabilities(Wire, frozen=True):
    """As AG-UI's AgentCapabilities has it."""

    transport: dict[str, bool]
    tools: dict[str, bool]
    state: dict[str, bool]
    multi_agent: dict[str, bool]
    human_in_the_loop: dict[str, bool]


CAPABILITIES = AgCapabilities(
    transport={"streaming": True, "resumable": True},
    tools={"supported": True, "clientProvided": False},
    state={"snapshots": False, "deltas": True},
    multi_agent={"supported": True, "handoffs": True},
    human_in_the_loop={"supported": True, "interrupts": True},
)
CANCEL = "cancel"
EXAMPLE: dict[str, Any] = {
    "threadId": "thread-1",
    "runId": "run-1",
    "messages": [{"id": "m-1", "role": "user", "content": "who are you?"}],
}


@dataclass(frozen=True)
class Answer:
    """To an interrupt. `text`: what it is in words; `payload`: as the client has it."""

    interrupt_id: str
    text: str
    payload: Any


def answers(asked: RunAgentInput) -> list[Answer]:
    """To what was asked, those that are data first; empty: the run is a message. InvalidRequest.

    What is cancelled is passed over: where all is, the run is what the person writes instead, or "cancel".
    """
    resolved = [each for each in asked.resume or () if each.status == "resolved"]
    found = [Answer(each.interrupt_id, _of_payload(each.payload), each.payload) for each in resolved]
    if sum(isinstance(each.payload, str) for each in found) > 1:  # each would be a message, to whoever asked last
        raise InvalidRequest("resume: expected one payload at most to be a text")
    return sorted(found, key=lambda each: isinstance(each.payload, str))


def message_id(asked: RunAgentInput) -> str | None:
    """The client's own, of the message that the run is."""
    if not asked.messages or asked.messages[-1].role != "user":
        return None
    named = asked.messages[-1].id
    return named if 1 <= len(named) <= MAX_ID_LENGTH and "\0" not in named else None


def said(asked: RunAgentInput) -> tuple[str, list[Attachment]]:
    """The text and files of the last message. InvalidRequest."""
    if not asked.messages or asked.messages[-1].role != "user":
        if asked.resume:
            return CANCEL, []
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


def _of_payload(payload: object) -> str:
    """As text, for who asked in words."""
    if isinstance(payload, str) and payload.strip():
        return payload
    if isinstance(payload, dict) and payload:
        return "\n".join(f"{name}: {value}" for name, value in payload.items())
    raise InvalidRequest("resume.payload: expected a text, or an object of the form's values")
