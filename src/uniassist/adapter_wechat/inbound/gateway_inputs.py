"""What the platform pushed, as the gateway's input. Pure: a retry of the same message gives the same input."""

from __future__ import annotations

import hashlib
from typing import Literal

from uniassist.adapter_wechat.identities import session_id, trace_id, user_id
from uniassist.adapter_wechat.inbound.messages import Push
from uniassist.contracts.base import MAX_ID_LENGTH, SCHEMA_VERSION
from uniassist.contracts.inputs import Attachment, Channel, UnifiedUserInput

SCANNED_CODE = "qrscene_"
_ATTACHMENTS: dict[str, Literal["image", "audio", "file"]] = {
    "image": "image",
    "voice": "audio",
    "video": "file",
    "shortvideo": "file",
}


def push_key(openid: str, *parts: str) -> str:
    """What makes a push one, however often it comes: the message's id, or what tells an event from others."""
    return hashlib.sha256("\n".join((openid, *parts)).encode()).hexdigest()


def input_of(push: Push) -> UnifiedUserInput:
    """A message; what isn't text is kept as `raw`, its media as an attachment. A voice that the platform understood
    is what was said."""
    assert push.message_id is not None, "an event is none"
    return text_input(
        push.openid,
        said_in(push),
        push.message_id,
        push.created_seconds * 1000,
        raw=None if push.kind == "text" else dict(push.fields),
        attachments=_attachments(push),
    )


def said_in(push: Push) -> str | None:
    """The words of a message, as they were written or heard; None where there are none."""
    if push.kind == "text":
        return push.fields.get("Content", "")
    heard = push.fields.get("Recognition", "") if push.kind == "voice" else ""
    return heard if heard.strip() else None


def input_of_event(push: Push, key: str) -> UnifiedUserInput | None:
    """A menu's click, whose key is what it says, or a scanned code; None for an event that says nothing to anybody.

    key: the push's, since events have no id.
    """
    event, event_key = push.event or "", push.fields.get("EventKey", "").strip()
    is_scan = event == "SCAN" or (event == "subscribe" and event_key.startswith(SCANNED_CODE))
    if not is_scan and not (event == "CLICK" and event_key):
        return None
    return text_input(
        push.openid,
        None if is_scan else event_key,
        f"event-{key[:40]}",
        push.created_seconds * 1000,
        raw=dict(push.fields),
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
