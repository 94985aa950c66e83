"""Interactions as text that reads well on a phone, their choices numbered. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.rendering import menus
from uniassist.adapter_wechat.rendering.markdown import plain_text
from uniassist.adapter_wechat.rendering.menus import Blank, Choice, Kind, Menu, Pick, Submit
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


def render(event: InteractionEvent, origin: Origin, first: int = 1, menu: Menu | None = None) -> Rendered:
    """One interaction, its choices numbered from `first`; an empty text for what is meant for machines.

    menu: what is open; a form of it that is asked again keeps what was filled in.
    """
    match event:
        case Ack(message=message):
            return Rendered(message or "")
        case AssistantMessage(text=text, markdown=markdown, choices=offered):
            named = [(choice.key, choice.label, None) for choice in offered or []]
            shown = plain_text(text) if markdown else text
            return _choice([shown], named, origin, first, is_asked=False, is_offer=True)
        case Card(title=title, body=body, actions=actions):
            named = [(action.action_id, action.label, action.payload) for action in actions or []]
            return _choice([title, body], named, origin, first, is_asked=False)
        case Form():
            return _form(event, origin, first, menu)
        case Nav(label=label, href=href):
            return Rendered(f"{label}：{href}")
        case RequestClarification(question=question, choices=choices):
            named = [(choice.key, choice.label, None) for choice in choices]
            return _choice([question], named, origin, first, is_asked=origin.provider_id != menus.BUILTIN)
        case ErrorNotice(user_message=message):
            return Rendered(message)
        case ProviderExtension(extension_kind="data_collection_request", payload=payload):
            return _data_form(payload, origin, first, menu)
    # a result and a progress are followed by words of their own
    return Rendered("")


def _choice(
    head: Sequence[str | None],
    named: Sequence[tuple[str, str, Any]],
    origin: Origin,
    first: int,
    *,
    is_asked: bool,
    is_offer: bool = False,
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
            is_asked=is_asked,
            is_offer=is_offer,
        )
        for number, (action_id, label, payload) in enumerate(named, first)
        if action_id
    ]
    words = [line for line in head if line]
    lines = words + [f"{pick.number}. {pick.label}" for pick in picks]
    language = menus.label_language([*words, *(pick.label for pick in picks)])
    return Rendered("\n".join([*lines, phrases.say("choose", language)] if picks else lines), picks)


def _form(form: Form, origin: Origin, first: int, menu: Menu | None) -> Rendered:
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
        title=form.title or "",
    )
    return _to_fill_in(blanks, submit, menu)


def _data_form(payload: ExtensionPayload, origin: Origin, first: int, menu: Menu | None) -> Rendered:
    schema, ui = payload.data_schema or {}, payload.ui_schema or {}
    title = _text(schema.get("title"))
    fields = schema.get("properties")
    if not isinstance(fields, dict) or not fields:
        return Rendered(title)
    required = schema.get("required")
    blanks = [
        _blank(
            number,
            origin.event_id,
            name,
            fields[name],
            ui.get(name),
            isinstance(required, list) and name in required,
        )
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
        label=label or phrases.say("submit", menus.language_of(blanks)),
        payload={"taskId": payload.task_id} if payload.task_id else {},
        title=title,
    )
    return _to_fill_in(blanks, submit, menu)


def _to_fill_in(blanks: Sequence[Blank], submit: Submit, menu: Menu | None) -> Rendered:
    choices = menus.inherited(menu, [*blanks, submit])
    return Rendered("\n".join([*([submit.title] if submit.title else []), *menus.form_lines(choices)]), choices)


def _blank(number: int, event_id: str, name: str, described: object, ui: object, required: bool) -> Blank:
    described = described if isinstance(described, dict) else {}
    widget = ui.get("ui:widget") if isinstance(ui, dict) else None
    default = described.get("default")
    known = str(default) if isinstance(default, str | int | float) and not isinstance(default, bool) else ""
    listed, longest = described.get("enum"), described.get("maxLength")
    options = [(str(each), str(each)) for each in listed] if isinstance(listed, list) else None
    return Blank(
        number=number,
        event_id=event_id,
        name=name,
        label=_text(described.get("title")) or name,
        kind=_kind(described),
        required=required,
        options=options or None,
        longest=longest if isinstance(longest, int) and longest > 0 else None,
        value=known or None,
        default=known or None,
        is_long=widget == "textarea",
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
