"""Numbered menus: what a number means, and what an answer in numbers does. Pure.

WeChat shows no buttons and no forms. Cards and questions become numbered choices; a form becomes numbered blanks,
filled in by "number, space, content", and a number that submits them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from uniassist.adapter_wechat import phrases
from uniassist.contracts.base import Int64, Wire

OPEN_SECONDS = 24 * 3600
_NUMBER = re.compile(r"(\d{1,3})[.、。)]?")
_FILLED = re.compile(r"(\d{1,3})(?:\s+|\s*[、:：]\s*|[.)]\s+)(\S.*)")
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?")
_MAX_ANSWER = 4000
_SHOWN_CHARACTERS = 60  # of what somebody filled in, when their form is shown again

Kind = Literal["text", "date", "number", "integer"]


class Pick(Wire, tag_field="type", tag="pick", kw_only=True, frozen=True):
    """An action to choose."""

    number: Int64
    event_id: str
    session_id: str
    provider_id: str
    run_id: str
    action_id: str
    label: str
    payload: Any = None


class Blank(Wire, tag_field="type", tag="blank", kw_only=True, frozen=True):
    """A field to fill in. `options`: (key, label) of those that it takes."""

    number: Int64
    event_id: str
    name: str
    label: str
    kind: Kind = "text"
    required: bool = False
    options: list[tuple[str, str]] | None = None
    value: str | None = None


class Submit(Wire, tag_field="type", tag="submit", kw_only=True, frozen=True):
    """What sends the blanks of the same event."""

    number: Int64
    event_id: str
    session_id: str
    provider_id: str
    run_id: str
    action_id: str
    label: str
    payload: dict[str, Any]


Choice = Pick | Blank | Submit


class Menu(Wire, kw_only=True, frozen=True):
    choices: list[Choice]
    shown_at_ms: Int64


@dataclass(frozen=True)
class Chosen:
    """To be sent to the gateway."""

    choice: Pick | Submit
    payload: Any


@dataclass(frozen=True)
class Told:
    """Answered here; `menu` has what was filled in."""

    text: str
    menu: Menu


Answer = Chosen | Told | None


class _Decision(Wire, kw_only=True, frozen=True):
    choice: Pick | Submit | None = None
    payload: Any = None
    told: str | None = None


def looks_like_answer(text: str) -> bool:
    """Whether `text` could be meant for a menu at all."""
    lines = _lines(text)
    return bool(lines) and all(_NUMBER.fullmatch(line) or _FILLED.fullmatch(line) for line in lines)


def read_answer(menu: Menu, text: str, now_ms: int) -> Answer:
    """None: an ordinary message."""
    if now_ms - menu.shown_at_ms > OPEN_SECONDS * 1000 or not looks_like_answer(text):
        return None
    lines = _lines(text)
    single = _NUMBER.fullmatch(lines[0])
    if len(lines) == 1 and single is not None:
        return _chosen(menu, int(single[1]))
    filled: dict[int, str] = {}
    for line in lines:
        match = _FILLED.fullmatch(line)
        if match is None:
            return None
        filled[int(match[1])] = match[2].strip()
    return _filled(menu, filled)


def dump_answer(answer: Answer) -> str:
    """To be found again by the next push of the same message."""
    match answer:
        case Chosen(choice=choice, payload=payload):
            kept = _Decision(choice=choice, payload=payload)
        case Told(text=text):
            kept = _Decision(told=text)
        case _:
            kept = _Decision()
    return msgspec.json.encode(kept).decode()


def load_answer(raw: str) -> Answer:
    """A `Told` comes back with an empty menu: what it changed is written already."""
    kept = msgspec.json.decode(raw, type=_Decision)
    if kept.choice is not None:
        return Chosen(kept.choice, kept.payload)
    return Told(kept.told, Menu(choices=[], shown_at_ms=0)) if kept.told is not None else None


def shown(menu: Menu | None, choices: Sequence[Choice], now_ms: int) -> Menu:
    """The menu once `choices` are shown: those that begin at 1 replace what there was."""
    kept = menu.choices if menu is not None and choices and choices[0].number > 1 else []
    return Menu(choices=[*kept, *choices], shown_at_ms=now_ms)


def without(menu: Menu, event_id: str) -> Menu:
    """Once one of its choices is taken, an event's menu is closed."""
    left = [choice for choice in menu.choices if choice.event_id != event_id]
    return msgspec.structs.replace(menu, choices=left)


def form_lines(choices: Sequence[Choice]) -> list[str]:
    """The blanks and what submits them, and how to do it."""
    lines = [_line(choice) for choice in choices]
    blank = next((each for each in choices if isinstance(each, Blank) and each.value is None), None)
    submit = next((each for each in choices if isinstance(each, Submit)), None)
    if submit is not None:
        example = _example(blank) if blank is not None else None
        lines.append(phrases.how_to_fill(example, submit.number))
    return lines


def dump(menu: Menu) -> str:
    return msgspec.json.encode(menu).decode()


def load(raw: str | None) -> Menu | None:
    return msgspec.json.decode(raw, type=Menu) if raw is not None else None


def dump_choices(choices: Sequence[Choice]) -> str | None:
    return msgspec.json.encode(list(choices)).decode() if choices else None


def load_choices(raw: str | None) -> list[Choice]:
    return msgspec.json.decode(raw, type=list[Choice]) if raw is not None else []


def _lines(text: str) -> list[str]:
    if len(text) > _MAX_ANSWER:
        return []
    folded = unicodedata.normalize("NFKC", text) if not text.isascii() else text
    return [line.strip() for line in folded.splitlines() if line.strip()]


def _chosen(menu: Menu, number: int) -> Answer:
    choice = _by_number(menu, number)
    match choice:
        case Pick():
            return Chosen(choice, choice.payload)
        case Blank():
            return Told(phrases.how_to_fill_one(_example(choice), choice.label), menu)
        case Submit():
            return _submitted(menu, choice)
    return None


def _submitted(menu: Menu, submit: Submit) -> Answer:
    blanks = _blanks(menu, submit.event_id)
    missing = [blank.label for blank in blanks if blank.required and blank.value is None]
    if missing:
        form = form_lines([*blanks, submit])
        return Told("\n".join([phrases.still_missing(missing), *form]), menu)
    values = {blank.name: _value(blank) for blank in blanks if blank.value is not None}
    return Chosen(submit, {**submit.payload, "values": values})


def _filled(menu: Menu, filled: dict[int, str]) -> Answer:
    events = set()
    changed: dict[int, Blank] = {}
    for number, content in filled.items():
        blank = _by_number(menu, number)
        if not isinstance(blank, Blank):
            return None
        value = _read(blank, content)
        if value is None:
            return Told(phrases.not_an_option(blank.label, _options(blank)), menu)
        changed[number] = msgspec.structs.replace(blank, value=value)
        events.add(blank.event_id)
    choices = [changed.get(each.number, each) for each in menu.choices]
    menu = msgspec.structs.replace(menu, choices=choices)
    form = form_lines([each for each in choices if each.event_id in events])
    return Told("\n".join([phrases.NOTED, *form]), menu)


def _by_number(menu: Menu, number: int) -> Choice | None:
    return next((choice for choice in menu.choices if choice.number == number), None)


def _blanks(menu: Menu, event_id: str) -> list[Blank]:
    return [each for each in menu.choices if isinstance(each, Blank) and each.event_id == event_id]


def _read(blank: Blank, content: str) -> str | None:
    """The value, None when it isn't one of the options."""
    if blank.options:
        by_number = {str(number): key for number, (key, _) in enumerate(blank.options, 1)}
        by_name = {name: key for key, label in blank.options for name in (key, label)}
        return by_name.get(content) or by_number.get(content)
    if blank.kind == "date" and (date := _DATE.fullmatch(content)) is not None:
        return f"{date[1]}-{int(date[2]):02}-{int(date[3]):02}"
    return content


def _value(blank: Blank) -> str | int | float:
    assert blank.value is not None
    try:
        if blank.kind == "integer":
            return int(blank.value)
        if blank.kind == "number":
            return float(blank.value)
    except ValueError:
        pass  # as it was written: whoever asked for it says better than we what is wrong
    return blank.value


def _line(choice: Choice) -> str:
    if not isinstance(choice, Blank):
        return f"{choice.number}. {choice.label}"
    if choice.value is not None:
        named = dict(choice.options or [])
        return f"{choice.number}. {choice.label}：{_clipped(named.get(choice.value, choice.value))}"
    required = phrases.REQUIRED if choice.required else ""
    options = f"（{_options(choice)}）" if choice.options else ""
    return f"{choice.number}. {choice.label}{required}{options}"


def _clipped(value: str) -> str:
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[: _SHOWN_CHARACTERS - 1]}…"


def _options(blank: Blank) -> str:
    return " / ".join(f"{number} {label}" for number, (_, label) in enumerate(blank.options or [], 1))


def _example(blank: Blank) -> str:
    if blank.options:
        return f"{blank.number} {blank.options[0][1]}"
    return f"{blank.number} {phrases.EXAMPLES[blank.kind]}"
