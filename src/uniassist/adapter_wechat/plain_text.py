"""Interactions as text that reads well on a phone: menus numbered, Markdown taken off, cut where a reader would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from uniassist.contracts.interaction import (
    Ack,
    AssistantMessage,
    Card,
    ErrorNotice,
    ExtensionPayload,
    Form,
    InteractionEvent,
    Nav,
    ProviderExtension,
    RequestClarification,
)

MAX_BYTES = 2000  # undocumented; long-lived integrations report 2048
_ELLIPSIS = "…"
_ENDS = re.compile(r"[。！？!?；;\n]|\.(?=\s)")
_URL = re.compile(r"https?://[\x21-\x7e]*")

_FENCE = re.compile(r"^[ \t]*```[^\n]*\n?", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+", re.MULTILINE)
_BULLET = re.compile(r"^([ \t]*)[-*+][ \t]+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]{0,500})\]\(([^()\s]{1,2000})\)")
_EMPHASIS = re.compile(r"(\*\*|__|~~|`)(?=\S)([^\n]{1,500}?)(?<=\S)\1")


def reply_text(events: Iterable[InteractionEvent], limit_bytes: int = MAX_BYTES) -> str:
    """All of `events` that a person should read, in order; empty when there is nothing."""
    parts = (text.strip() for text in map(render, events))
    return cut("\n\n".join(part for part in parts if part), limit_bytes)


def render(event: InteractionEvent) -> str:
    """One interaction; empty for what is meant for machines."""
    match event:
        case Ack(message=message):
            return message or ""
        case AssistantMessage(text=text, markdown=markdown):
            return without_markdown(text) if markdown else text
        case Card(title=title, body=body, actions=actions):
            return _menu([title, body], [action.label for action in actions or []])
        case Form(title=title, fields=fields):
            return _menu([title], [field.label for field in fields])
        case Nav(label=label, href=href):
            return f"{label}：{href}"
        case RequestClarification(question=question, choices=choices):
            return _menu([question], [choice.label for choice in choices])
        case ErrorNotice(user_message=message):
            return message
        case ProviderExtension(extension_kind="data_collection_request", payload=payload):
            return _form(payload)
    # a result and a progress are followed by words of their own
    return ""


def cut(text: str, limit_bytes: int) -> str:
    """At most `limit_bytes` of UTF-8, to the end of a sentence or line where there is one; never inside a URL."""
    if len(text.encode()) <= limit_bytes:
        return text
    room = max(limit_bytes - len(_ELLIPSIS.encode()), 0)
    kept = text.encode()[:room].decode(errors="ignore")
    ends = [match.end() for match in _ENDS.finditer(kept) if match.end() > len(kept) // 2]
    if ends:
        kept = kept[: ends[-1]]
    for url in _URL.finditer(text):
        if url.start() < len(kept) < url.end():
            kept = kept[: url.start()]
    return kept.rstrip() + _ELLIPSIS if limit_bytes >= len(_ELLIPSIS.encode()) else kept


def without_markdown(text: str) -> str:
    """The words of `text`: marks taken off, links as label and address, bullets as dots."""
    text = _FENCE.sub("", text)
    text = _HEADING.sub("", text)
    text = _BULLET.sub(r"\1· ", text)
    text = _LINK.sub(lambda link: f"{link[1]}（{link[2]}）" if link[1] else link[2], text)
    return _EMPHASIS.sub(r"\2", text)


def _menu(head: Sequence[str | None], labels: Sequence[str]) -> str:
    numbered = [f"{number}. {label}" for number, label in enumerate(labels, 1)]
    return "\n".join([*(line for line in head if line), *numbered])


def _form(payload: ExtensionPayload) -> str:
    schema, ui = payload.data_schema or {}, payload.ui_schema or {}
    fields = schema.get("properties")
    if not isinstance(fields, dict):
        return _text(schema.get("title"))
    required = schema.get("required")
    return _menu(
        [_text(schema.get("title"))],
        [
            _field(name, fields[name], isinstance(required, list) and name in required)
            for name in _order(fields, ui.get("ui:order"))
        ],
    )


def _order(fields: dict[str, Any], wanted: object) -> list[str]:
    first = (
        [name for name in wanted if isinstance(name, str) and name in fields] if isinstance(wanted, list) else []
    )
    return list(dict.fromkeys([*first, *fields]))


def _field(name: str, described: object, required: bool) -> str:
    described = described if isinstance(described, dict) else {}
    title = _text(described.get("title")) or name
    default = described.get("default")
    known = f"：{default}" if isinstance(default, str | int | float) else ""
    return f"{title}（必填）" if required and not known else f"{title}{known}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
