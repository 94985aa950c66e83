"""What was asked of a person, as text, and what their next text answers to it. Pure.

A front whose clients know only text shows forms and choices as questions. The answer is a number, a label, or lines
of `field: value`; whatever isn't an answer goes to whom it concerns, as any message does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from uniassist.contracts.courtesies import courtesy
from uniassist.contracts.interaction import (
    Ack,
    AssistantMessage,
    Card,
    ErrorNotice,
    Form,
    InteractionEvent,
    Nav,
    ProviderExtension,
    RequestClarification,
)
from uniassist.contracts.language import Language, written_in

SUBMIT = "submit_data_collection"
MAX_ANSWER = 4000
_LINE = re.compile(r"^\s*(?:[-*]\s*)?(?P<name>[^:：]{1,200}?)\s*[:：]\s*(?P<value>.+?)\s*$")
_NUMBER = re.compile(r"\s*#?([0-9]{1,3})[.)。、]?\s*")
_WORDS: Mapping[str, Mapping[Language, str]] = {
    "choose": {"zh": "请回复数字或选项。", "en": "Answer with a number, or in these words."},
    "one": {"zh": "请直接回复。", "en": "Just answer with it."},
    "fill": {
        "zh": "请在一条消息里逐行回复，例如“{example}: …”。",
        "en": "Answer in one message, a line each: “{example}: …”.",
    },
    "as_it_is": {"zh": "或回复“{submit}”直接提交。", "en": "Or answer “{submit}” to send it as it is."},
    "required": {"zh": "（必填）", "en": " (required)"},
}


@dataclass(frozen=True)
class Option:
    """Something to choose. `payload`: of the interaction that chooses it."""

    action_id: str
    label: str
    payload: Any = None


@dataclass(frozen=True)
class Blank:
    """A field of a form. `options`: key and label of each value that it takes; none: any text."""

    name: str
    label: str
    required: bool
    options: Sequence[tuple[str, str]] = ()
    known: str | None = None


@dataclass(frozen=True)
class Asked:
    """What an interaction asks: to choose one of `options`, or to fill in `blanks` and submit them.

    `submit`: the action that does, with what its payload holds beside the values.
    """

    options: Sequence[Option] = ()
    blanks: Sequence[Blank] = ()
    submit: Option | None = None


@dataclass(frozen=True)
class Answered:
    """The interaction that a text stands for."""

    action_id: str
    payload: Any = field(default=None)


def asked_in(event: InteractionEvent) -> Asked | None:
    """What an interaction asks of a person; None: nothing."""
    match event:
        case AssistantMessage(choices=choices) | RequestClarification(choices=choices) if choices:
            return Asked([Option(each.key, each.label) for each in choices if each.key])
        case Card(actions=actions) if actions:
            return Asked([Option(each.action_id, each.label, each.payload) for each in actions])
        case Form():
            payload = event.submit.payload if isinstance(event.submit.payload, dict) else {}
            blanks = [
                Blank(
                    each.field_id,
                    each.label,
                    each.required or False,
                    [(option.key, option.label) for option in each.options or []],
                )
                for each in event.fields
            ]
            submit = Option(event.submit.action_id, event.submit.label, payload | {"formId": event.form_id})
            return Asked(blanks=blanks, submit=submit)
        case ProviderExtension(extension_kind="data_collection_request", payload=payload):
            schema, ui = payload.data_schema or {}, payload.ui_schema or {}
            button = ui.get("ui:submitButtonOptions")
            label = _text(button.get("submitText")) if isinstance(button, dict) else ""
            task = {"taskId": payload.task_id} if payload.task_id else {}
            return Asked(blanks=_blanks(schema, ui), submit=Option(SUBMIT, label, task))
    return None


def text_of(event: InteractionEvent) -> str:
    """An interaction as Markdown; empty for what is meant for machines."""
    asked = asked_in(event)
    match event:
        case Ack(message=message):
            return message or ""
        case AssistantMessage(text=text):
            return _with_options(text, asked)
        case Card(title=title, body=body):
            media = [_link(each) for each in event.media or []]
            return _with_options("\n\n".join(filter(None, [f"**{title}**", body, *media])), asked)
        case Form(title=title):
            return _with_blanks(title or "", asked)
        case Nav(label=label, href=href):
            return f"[{label}]({href})"
        case RequestClarification(question=question):
            return _with_options(question, asked)
        case ErrorNotice(user_message=message):
            return message
        case ProviderExtension(extension_kind="data_collection_request", payload=payload):
            return _with_blanks(_text((payload.data_schema or {}).get("title")), asked)
        case ProviderExtension(payload=payload) if payload.progress is not None:
            label = f"{payload.progress.label} " if payload.progress.label else ""
            return f"{label}({payload.progress.step}/{payload.progress.total})"
    return ""  # a result is followed by words of its own


def read_answer(asked: Asked, text: str, *, is_expected: bool) -> Answered | None:
    """What `text` answers to what was asked; None: it is an ordinary message.

    `is_expected`: whoever asked takes the next text as it is, so that only what is plainly a form's lines is one.
    """
    if not text.strip() or len(text) > MAX_ANSWER:
        return None
    if asked.options:
        found = _chosen([(each.label, each.action_id) for each in asked.options], text)
        return None if found is None else Answered(asked.options[found].action_id, asked.options[found].payload)
    if asked.submit is None:
        return None
    known = {each.name: each.known for each in asked.blanks if each.known is not None}
    payload = asked.submit.payload if isinstance(asked.submit.payload, dict) else {}
    if asked.submit.label and _chosen([(asked.submit.label, asked.submit.action_id)], text) is not None:
        return Answered(asked.submit.action_id, payload | {"values": known})
    values = _filled(asked.blanks, text)
    needed = [each for each in asked.blanks if each.required and each.known is None] or list(asked.blanks)
    if not values and not is_expected and len(needed) == 1 and courtesy(text) is None:
        value = _value(needed[0], text.strip())
        values = {} if value is None else {needed[0].name: value}
    if not values:
        return None
    return Answered(asked.submit.action_id, payload | {"values": known | values})


def read_payload(asked: Asked, payload: object) -> Answered | None:
    """What a client's own form or menu answers: values by name, an option's key, or text. None: it is no answer."""
    if isinstance(payload, str):
        return read_answer(asked, payload, is_expected=False)
    if not isinstance(payload, dict):
        return None
    if asked.submit is not None:
        base = asked.submit.payload if isinstance(asked.submit.payload, dict) else {}
        values = payload.get("values", payload)
        return Answered(asked.submit.action_id, base | {"values": values}) if isinstance(values, dict) else None
    found = next((each for each in asked.options if each.action_id == payload.get("key")), None)
    return None if found is None else Answered(found.action_id, found.payload)


def _chosen(named: Sequence[tuple[str, str]], text: str) -> int | None:
    number = _NUMBER.fullmatch(text)
    if number is not None:
        at = int(number[1]) - 1
        return at if 0 <= at < len(named) else None
    said = text.strip().casefold().rstrip(".!。！")
    return next((at for at, names in enumerate(named) if said in [name.casefold() for name in names]), None)


def _filled(blanks: Sequence[Blank], text: str) -> dict[str, str]:
    by_name = {name.casefold(): each for each in blanks for name in (each.label, each.name)}
    values = dict[str, str]()
    for line in text.splitlines():
        found = _LINE.match(line)
        blank = by_name.get(found["name"].strip().strip("*").casefold()) if found is not None else None
        if found is not None and blank is not None and (value := _value(blank, found["value"])) is not None:
            values[blank.name] = value
    return values


def _value(blank: Blank, written: str) -> str | None:
    if not blank.options:
        return written
    at = _chosen([(label, key) for key, label in blank.options], written)
    return None if at is None else blank.options[at][0]


def _blanks(schema: Mapping[str, Any], ui: Mapping[str, Any]) -> list[Blank]:
    fields, required = schema.get("properties"), schema.get("required")
    if not isinstance(fields, dict):
        return []
    order = ui.get("ui:order")
    first = [name for name in order if name in fields] if isinstance(order, list) else []
    found = []
    for name in dict.fromkeys([*first, *fields]):
        described = fields[name] if isinstance(fields[name], dict) else {}
        listed, default = described.get("enum"), described.get("default")
        found.append(
            Blank(
                name,
                _text(described.get("title")) or name,
                isinstance(required, list) and name in required,
                [(str(each), str(each)) for each in listed] if isinstance(listed, list) else (),
                default if isinstance(default, str) and default else None,
            )
        )
    return found


def _with_options(head: str, asked: Asked | None) -> str:
    if asked is None or not asked.options:
        return head
    lines = [f"{number}. {each.label}" for number, each in enumerate(asked.options, 1)]
    return "\n".join([head, "", *lines, "", _say("choose", [head, *lines])])


def _with_blanks(title: str, asked: Asked | None) -> str:
    if asked is None or not asked.blanks:
        return title
    words = [title, *(each.label for each in asked.blanks)]
    lines = [_line(each, _say("required", words)) for each in asked.blanks]
    how = (
        _say("one", words) if len(asked.blanks) == 1 else _say("fill", words).format(example=asked.blanks[0].label)
    )
    if (
        asked.submit is not None
        and asked.submit.label
        and all(each.known or not each.required for each in asked.blanks)
    ):
        how = f"{how} {_say('as_it_is', words).format(submit=asked.submit.label)}"
    return "\n".join([*([f"**{title}**", ""] if title else []), *lines, "", how])


def _line(blank: Blank, required: str) -> str:
    options = f": {' / '.join(label for _, label in blank.options)}" if blank.options else ""
    known = f": {blank.known}" if blank.known is not None else ""
    return f"- {blank.label}{known or (required if blank.required else '')}{options}"


def _link(media: object) -> str:
    if not isinstance(media, dict) or not _text(media.get("url")):
        return ""
    name = _text(media.get("name")) or media["url"]
    sign = "!" if _text(media.get("type")) == "image" else ""
    return f"{sign}[{name}]({media['url']})"


def _say(key: str, words: Sequence[str]) -> str:
    return _WORDS[key][written_in(" ".join(words)) or "en"]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
