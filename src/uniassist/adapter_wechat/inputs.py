"""What the platform pushed, as the gateway's input. Pure: a retry of the same message gives the same input."""

from __future__ import annotations

import hashlib
from typing import Literal

from uniassist.adapter_wechat.messages import Push
from uniassist.contracts.base import MAX_ID_LENGTH, SCHEMA_VERSION
from uniassist.contracts.inputs import WECHAT_SESSION, WECHAT_USER, Attachment, Channel, UnifiedUserInput

_ATTACHMENTS: dict[str, Literal["image", "audio", "file"]] = {
    "image": "image",
    "voice": "audio",
    "video": "file",
    "shortvideo": "file",
}


def trace_id(openid: str, message_id: str) -> str:
    """The same for each push of one message."""
    digest = hashlib.sha256(f"{openid}\n{message_id}".encode()).hexdigest()
    return f"wx-{digest[:32]}"


def user_id(openid: str) -> str:
    return f"{WECHAT_USER}{openid}"


def session_id(openid: str) -> str:
    """Always the same; the gateway knows which session goes on after it."""
    return f"{WECHAT_SESSION}{openid}"


def push_key(openid: str, *parts: str) -> str:
    """What makes a push one, however often it comes: the message's id, or what tells an event from others."""
    return hashlib.sha256("\n".join((openid, *parts)).encode()).hexdigest()


def input_of(push: Push) -> UnifiedUserInput:
    """A message; what isn't text is kept as `raw`, its media as an attachment."""
    assert push.message_id is not None, "an event is no input"
    text = push.fields.get("Content", "") if push.kind == "text" else None
    return text_input(
        push.openid,
        text,
        push.message_id,
        push.created_seconds * 1000,
        raw=None if push.kind == "text" else dict(push.fields),
        attachments=_attachments(push),
    )


def text_input(
    openid: str,
    text: str | None,
    message_id: str,
    timestamp_ms: int,
    *,
    raw: dict[str, str] | None = None,
    attachments: list[Attachment] | None = None,
) -> UnifiedUserInput:
    return UnifiedUserInput(
        schema_version=SCHEMA_VERSION,
        trace_id=trace_id(openid, message_id),
        user_id=user_id(openid),
        session_id=session_id(openid),
        source="wechat",
        timestamp_ms=timestamp_ms,
        channel=Channel(id=openid, type="wechat", message_id=message_id),
        text=text,
        raw=raw,
        attachments=attachments,
    )


def _attachments(push: Push) -> list[Attachment] | None:
    media_id = push.fields.get("MediaId", "")
    if push.kind not in _ATTACHMENTS or not 1 <= len(media_id) <= MAX_ID_LENGTH:
        return None
    return [Attachment(id=media_id, type=_ATTACHMENTS[push.kind], url=push.fields.get("PicUrl") or None)]
