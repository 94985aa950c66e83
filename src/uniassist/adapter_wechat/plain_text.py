"""Interactions as text that reads well on a phone: menus numbered, Markdown taken off. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.menus import Blank, Choice, Kind, Pick, Submit, form_lines
from uniassist.adapter_wechat.splitting import FENCE
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

SUBMIT = "submit_data_collection"

_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+", re.MULTILINE)
_BULLET = re.compile(r"^([ \t]*)[-*+][ \t]+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]{0,500})\]\(([^()\s]{1,2000})\)")
_EMPHASIS = re.compile(r"(\*\*|__|~~|`)(?=\S)([^\n]{1,500}?)(?<=\S)\1")


@dataclass(frozen=True)
class Origin:
    """Where an interaction stands, for the answer to it."""

    event_id: str
    session_id: str
    provider_id: str
    run_id: str


@dataclass(frozen=True)
class Rendered:
    text: str
    choices: Sequence[Choice] = ()


def render(event: InteractionEvent, origin: Origin, first: int = 1) -> Rendered:
    """One interaction, its choices numbered from `first`; an empty text for what is meant for machines."""
    match event:
        case Ack(message=message):
            return Rendered(message or "")
        case AssistantMessage(text=text, markdown=markdown):
            return Rendered(without_markdown(text) if markdown else text)
        case Card(title=title, body=body, actions=actions):
            named = [(action.action_id, action.label, action.payload) for action in actions or []]
            return _choice([title, body], named, origin, first)
        case Form():
            return _form(event, origin, first)
        case Nav(label=label, href=href):
            return Rendered(f"{label}：{href}")
        case RequestClarification(question=question, choices=choices):
            return _choice([question], [(choice.key, choice.label, None) for choice in choices], origin, first)
        case ErrorNotice(user_message=message):
            return Rendered(message)
        case ProviderExtension(extension_kind="data_collection_request", payload=payload):
            return _data_form(payload, origin, first)
    # a result and a progress are followed by words of their own
    return Rendered("")


def without_markdown(text: str) -> str:
    """The words of `text`: marks taken off, links as label and address, bullets as dots. Code is left as it is.

    Its fences stay too: they go when the text is shown, since until then they say what may not be cut apart.
    """
    parts: list[str] = []
    is_code = False
    at = 0
    for fence in FENCE.finditer(text):
        parts += [text[at : fence.start()] if is_code else _words(text[at : fence.start()]), fence[0]]
        at, is_code = fence.end(), not is_code
    return "".join([*parts, text[at:] if is_code else _words(text[at:])])


def _words(text: str) -> str:
    text = _HEADING.sub("", text)
    text = _BULLET.sub(r"\1· ", text)
    text = _LINK.sub(lambda link: f"{link[1]}（{link[2]}）" if link[1] else link[2], text)
    return _EMPHASIS.sub(r"\2", text)


def _choice(
    head: Sequence[str | None], named: Sequence[tuple[str, str, Any]], origin: Origin, first: int
) -> Rendered:
    picks = [
        Pick(
            number=number,
            event_id=origin.event_id,
            session_id=origin.session_id,
            provider_id=origin.provider_id,
            run_id=origin.run_id,
            action_id=action_id,
            label=label,
            payload=payload,
        )
        for number, (action_id, label, payload) in enumerate(named, first)
        if action_id
    ]
    lines = [line for line in head if line] + [f"{pick.number}. {pick.label}" for pick in picks]
    return Rendered("\n".join([*lines, phrases.CHOOSE] if picks else lines), picks)


def _form(form: Form, origin: Origin, first: int) -> Rendered:
    blanks = [
        Blank(
            number=number,
            event_id=origin.event_id,
            name=field.field_id,
            label=field.label,
            kind="date" if field.kind == "date" else "text",
            required=field.required or False,
            options=[(option.key, option.label) for option in field.options or []] or None,
        )
        for number, field in enumerate(form.fields, first)
    ]
    payload = form.submit.payload if isinstance(form.submit.payload, dict) else {}
    submit = Submit(
        number=first + len(blanks),
        event_id=origin.event_id,
        session_id=origin.session_id,
        provider_id=origin.provider_id,
        run_id=origin.run_id,
        action_id=form.submit.action_id,
        label=form.submit.label,
        payload=payload | {"formId": form.form_id},
    )
    return _to_fill_in(form.title, blanks, submit)


def _data_form(payload: ExtensionPayload, origin: Origin, first: int) -> Rendered:
    schema, ui = payload.data_schema or {}, payload.ui_schema or {}
    title = _text(schema.get("title"))
    fields = schema.get("properties")
    if not isinstance(fields, dict) or not fields:
        return Rendered(title)
    required = schema.get("required")
    blanks = [
        _blank(number, origin.event_id, name, fields[name], isinstance(required, list) and name in required)
        for number, name in enumerate(_order(fields, ui.get("ui:order")), first)
    ]
    button = ui.get("ui:submitButtonOptions")
    label = _text(button.get("submitText")) if isinstance(button, dict) else ""
    submit = Submit(
        number=first + len(blanks),
        event_id=origin.event_id,
        session_id=origin.session_id,
        provider_id=origin.provider_id,
        run_id=origin.run_id,
        action_id=SUBMIT,
        label=label or phrases.SUBMIT,
        payload={"taskId": payload.task_id} if payload.task_id else {},
    )
    return _to_fill_in(title, blanks, submit)


def _to_fill_in(title: str | None, blanks: Sequence[Blank], submit: Submit) -> Rendered:
    choices: list[Choice] = [*blanks, submit]
    return Rendered("\n".join([*([title] if title else []), *form_lines(choices)]), choices)


def _blank(number: int, event_id: str, name: str, described: object, required: bool) -> Blank:
    described = described if isinstance(described, dict) else {}
    default = described.get("default")
    known = str(default) if isinstance(default, str | int | float) and not isinstance(default, bool) else ""
    listed = described.get("enum")
    options = [(str(each), str(each)) for each in listed] if isinstance(listed, list) else None
    return Blank(
        number=number,
        event_id=event_id,
        name=name,
        label=_text(described.get("title")) or name,
        kind=_kind(described),
        required=required,
        options=options or None,
        value=known or None,
    )


def _kind(described: dict[str, Any]) -> Kind:
    if described.get("format") == "date":
        return "date"
    match described.get("type"):
        case "number":
            return "number"
        case "integer":
            return "integer"
    return "text"


def _order(fields: dict[str, Any], wanted: object) -> list[str]:
    first = (
        [name for name in wanted if isinstance(name, str) and name in fields] if isinstance(wanted, list) else []
    )
    return list(dict.fromkeys([*first, *fields]))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
