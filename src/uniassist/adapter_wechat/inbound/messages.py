"""The platform's messages, in and out, in its two formats. Pure.

XML in: no DTD, no entities, one flat element. XML out: CDATA that no text can end.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from uniassist.contracts import codec
from uniassist.errors import InvalidRequest

MAX_BYTES = 256 * 1024
MAX_NAME_LENGTH = 128
MAX_MARKS = 2000  # the platform's richest events have a hundred
SILENCE = b"success"

# What the platform writes in place of a sticker, and of what it can't pass on.
_UNSUPPORTED = re.compile(r"[\[【（(]?收到不支持的消息类型[，,]?暂无法显示[\]】）)]?")
# what XML 1.0 has no way to write
_UNWRITABLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Push:
    """What the platform pushed.

    account: the account's own id; openid: of the person, within that account.
    created_seconds: Unix seconds by the platform's clock.
    kind: the platform's MsgType; "sticker" for what it has no type for and says so in a sentence.
    message_id: None for events, and only for them. A message that came without one has a digest of itself.
    fields: everything, as it came.
    """

    account: str
    openid: str
    created_seconds: int
    kind: str
    message_id: str | None
    fields: Mapping[str, str]

    @property
    def event(self) -> str | None:
        return self.fields.get("Event") if self.kind == "event" else None


def is_json(raw: bytes) -> bool:
    """Which of the two formats a body is in."""
    return raw.lstrip()[:1] == b"{"


def read_fields(raw: bytes) -> dict[str, str]:
    """The leaves right under the root, by name. InvalidRequest says what isn't as it should be."""
    return _read_json(raw) if is_json(raw) else _read_xml(raw)


def _read_json(raw: bytes) -> dict[str, str]:
    found = codec.decode(raw, dict[str, Any])
    # numbers as they are written; what is nested are details of events that nothing here reads
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int | float)}


def _read_xml(raw: bytes) -> dict[str, str]:
    if raw.count(b"<") > MAX_MARKS:
        raise InvalidRequest(f"body: at most {MAX_MARKS} marks of XML")
    try:
        root = fromstring(raw, forbid_dtd=True)
    except DefusedXmlException:
        raise InvalidRequest("body: a DTD or entities are not allowed") from None
    except (ParseError, ValueError, LookupError):  # the latter two: an encoding that is unknown or isn't kept to
        raise InvalidRequest("body: expected well-formed XML") from None
    if root.tag != "xml":
        raise InvalidRequest("body: expected the element xml")
    fields: dict[str, str] = {}
    for element in root:
        if len(element):
            continue  # nested: details of events that nothing here reads
        if element.tag in fields:
            raise InvalidRequest(f"{element.tag[:64]}: given more than once")
        fields[element.tag] = element.text or ""
    return fields


def read_push(fields: Mapping[str, str]) -> Push:
    """`fields` as a message or an event."""
    kind = _kind(fields)
    created = fields.get("CreateTime", "").strip()
    if not created.isascii() or not created.isdigit() or len(created) > 10:
        raise InvalidRequest("CreateTime: expected Unix seconds")
    return Push(
        account=_name(fields, "ToUserName"),
        openid=_name(fields, "FromUserName"),
        created_seconds=int(created),
        kind=kind,
        message_id=None if kind == "event" else _message_id(fields),
        fields=fields,
    )


def _kind(fields: Mapping[str, str]) -> str:
    """A type that is missing is as good as one that nobody knows."""
    kind = fields.get("MsgType", "").strip()[:MAX_NAME_LENGTH] or "unknown"
    return "sticker" if kind == "text" and _UNSUPPORTED.fullmatch(fields.get("Content", "").strip()) else kind


def _message_id(fields: Mapping[str, str]) -> str:
    """The platform's, else one that all pushes of the same message share."""
    if fields.get("MsgId", "").strip():
        return _name(fields, "MsgId")
    digest = hashlib.sha256()
    for name in sorted(fields):
        digest.update(f"{len(name)}:{name}{len(fields[name])}:{fields[name]}".encode())
    return f"digest-{digest.hexdigest()[:40]}"


def text_reply(push: Push, text: str, *, now_seconds: int, as_json: bool) -> bytes:
    """A passive reply that shows `text` to the one who wrote."""
    return _written(
        {
            "ToUserName": push.openid,
            "FromUserName": push.account,
            "CreateTime": now_seconds,
            "MsgType": "text",
            "Content": text,
        },
        as_json,
    )


def sealed_reply(*, encrypted: str, signature: str, timestamp: str, nonce: str, as_json: bool) -> bytes:
    """What carries a reply in the encrypted modes."""
    fields: dict[str, str | int] = {
        "Encrypt": encrypted,
        "MsgSignature": signature,
        "TimeStamp": int(timestamp),
        "Nonce": nonce,
    }
    return _written(fields, as_json)


def _name(fields: Mapping[str, str], field: str) -> str:
    value = fields.get(field, "").strip()
    if not value:
        raise InvalidRequest(f"{field}: required, but missing")
    if len(value) > MAX_NAME_LENGTH:
        raise InvalidRequest(f"{field}: at most {MAX_NAME_LENGTH} characters")
    return value


def _written(fields: Mapping[str, str | int], as_json: bool) -> bytes:
    if as_json:
        return codec.encode(fields)
    inner = "".join(
        f"<{name}>{value if isinstance(value, int) else _cdata(value)}</{name}>" for name, value in fields.items()
    )
    return f"<xml>{inner}</xml>".encode()


def _cdata(text: str) -> str:
    # a parser reads every line end as \n, and "]]>" would end the section
    written = _UNWRITABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return f"<![CDATA[{written.replace(']]>', ']]]]><![CDATA[>')}]]>"
