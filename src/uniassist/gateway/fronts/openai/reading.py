"""What a chat completion asks for: its text, its session, and its errors in OpenAI's words. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.contracts.inputs import Attachment
from uniassist.errors import InvalidRequest, NotFound, UniAssistError
from uniassist.gateway.fronts.openai.shapes import ChatMessage, ChatRequest, ErrorBody, OpenAiError, Part
from uniassist.gateway.fronts.sealing import digest

SESSION = "session_id"
_TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ModelNotFound(NotFound):
    code = "model_not_found"


def said(asked: ChatRequest) -> tuple[str, list[Attachment]]:
    """The text and the attachments of the last message, which is the one that is new. InvalidRequest."""
    if asked.n not in (None, 1):
        raise InvalidRequest("n: expected 1")
    last = len(asked.messages) - 1
    message = asked.messages[last]
    if message.role != "user":
        raise InvalidRequest(
            f"messages[{last}].role: expected user, since the last message is the one to be answered"
        )
    text, attachments = _content(message, f"messages[{last}].content")
    if not text.strip() and not attachments:
        raise InvalidRequest(f"messages[{last}].content: expected some text")
    return text, attachments


def session_of(asked: ChatRequest, named: str | None, chat_id: str | None, user_id: str, secret: str) -> str:
    """The session of a conversation.

    `named`: by the client, in a header; `chat_id`: a conversation's id by which the client knows it.
    Else it is named in `metadata`, or derived: conversations of a user that begin with the same message are one.
    Sealed with `secret`, so that nobody else can take the name first.
    """
    given = named or (asked.metadata or {}).get(SESSION)
    if given is not None:
        if not 1 <= len(given) <= MAX_ID_LENGTH or "\0" in given:
            raise InvalidRequest(f"metadata.{SESSION}: expected 1 to {MAX_ID_LENGTH} characters")
        return given
    first = next((each for each in asked.messages if each.role == "user"), asked.messages[-1])
    key = ["id", chat_id] if chat_id is not None else ["first", asked.user or "", _content(first, "messages")[0]]
    return f"chat-{digest([user_id, *key], secret)}"


def refused(error: UniAssistError) -> OpenAiError:
    """An error as OpenAI says it; `param`: the field at fault."""
    field = error.detail.partition(":")[0] if error.status in (400, 404) else ""
    kind = _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "server_error")
    return OpenAiError(
        ErrorBody(error.detail, kind, field if field and " " not in field else None, error.code.lower())
    )


def _content(message: ChatMessage, at: str) -> tuple[str, list[Attachment]]:
    if isinstance(message.content, str) or message.content is None:
        return message.content or "", []
    texts, attachments = list[str](), list[Attachment]()
    for number, part in enumerate(message.content):
        if part.type == "text":
            texts.append(part.text or "")
        else:
            attachments.append(_attachment(part, f"{at}[{number}]"))
    return "\n".join(texts), attachments


def _attachment(part: Part, at: str) -> Attachment:
    if part.type != "image_url" or part.image_url is None:
        raise InvalidRequest(f"{at}.type: expected text or image_url")
    if not part.image_url.url.startswith(("https://", "http://")):
        raise InvalidRequest(f"{at}.image_url.url: expected an http or https URL")
    return Attachment(
        id=uuid.uuid5(uuid.NAMESPACE_URL, part.image_url.url).hex, type="image", url=part.image_url.url
    )
