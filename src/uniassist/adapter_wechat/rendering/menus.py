"""Numbered menus: what a number means, and how they follow each other. Pure.

WeChat shows no buttons and no forms. Cards and questions become numbered choices; a form becomes numbered blanks,
filled in by "number, space, content", and a number that submits them. What an answer does: `menu_answers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from uniassist.adapter_wechat import phrases
from uniassist.contracts.base import Int64, Wire
from uniassist.contracts.dates import with_weekday
from uniassist.contracts.language import Language

OPEN_SECONDS = 24 * 3600
BUILTIN = "builtin_chat"
_SHOWN_CHARACTERS = 60  # of what somebody filled in, when their form is shown again
_MOST_ASIDE = 3
_HAN = re.compile(r"[\u3400-\u9fff]")
_ENGLISH_WORD = re.compile(r"[A-Za-z]{2}[a-z]")  # a field's bare name, such as "a", is in no language

Kind = Literal["text", "date", "number", "integer"]


class Pick(Wire, tag_field="type", tag="pick", kw_only=True, frozen=True):
    """An action to choose.

    is_asked: it answers a question, which waits for it.
    is_offer: it is there to be asked for, by its number or name; a mere yes doesn't mean it.
    """

    number: Int64
    event_id: str
    session_id: str
    provider_id: str
    run_id: str
    action_id: str
    label: str
    payload: Any = None
    is_asked: bool = False
    is_offer: bool = False


class Blank(Wire, tag_field="type", tag="blank", kw_only=True, frozen=True):
    """A field to fill in.

    options: (key, label) of each value that it takes.
    longest: characters of its value; None for any number.
    value: None until it is filled in.
    default: the value that the form came with.
    is_long: for a text that things are added to.
    """

    number: Int64
    event_id: str
    name: str
    label: str
    kind: Kind = "text"
    required: bool = False
    options: list[tuple[str, str]] | None = None
    longest: Int64 | None = None
    value: str | None = None
    default: str | None = None
    is_long: bool = False


class Submit(Wire, tag_field="type", tag="submit", kw_only=True, frozen=True):
    """Sends the blanks of the same event. title: of their form."""

    number: Int64
    event_id: str
    session_id: str
    provider_id: str
    run_id: str
    action_id: str
    label: str
    payload: dict[str, Any]
    title: str = ""

    @property
    def form(self) -> tuple[str, str]:
        """What makes two forms the same one, asked again."""
        key = self.payload.get("taskId") or self.payload.get("formId")
        return self.provider_id, key if isinstance(key, str) else self.event_id


Choice = Pick | Blank | Submit


class Menu(Wire, kw_only=True, frozen=True):
    """What is open. aside: forms that later ones have overtaken, the last one last."""

    choices: list[Choice]
    shown_at_ms: Int64
    aside: list[list[Choice]] = msgspec.field(default_factory=list)

    def is_open(self, now_ms: int) -> bool:
        return now_ms - self.shown_at_ms <= OPEN_SECONDS * 1000

    @property
    def submits(self) -> list[Submit]:
        return [each for each in self.choices if isinstance(each, Submit)]

    @property
    def asked(self) -> list[Pick]:
        """The choices of the question that waits."""
        return [each for each in self.choices if isinstance(each, Pick) and each.is_asked]


def language_of(choices: Iterable[Choice]) -> Language:
    """Of the menu's own words."""
    return label_language(each.label for each in choices)


def label_language(labels: Iterable[str]) -> Language:
    """The platform is Chinese: one Chinese word makes a menu so, and so does none that tells."""
    words = " ".join(labels)
    return "zh" if _HAN.search(words) is not None or _ENGLISH_WORD.search(words) is None else "en"


def first_number(menu: Menu | None, provider_id: str, *, is_form: bool) -> int:
    """Where the numbers of something new begin, so that they leave alone what it may not take over.

    A form may take over everything, for what it overtakes can be called back; a provider's question or card may
    take over what isn't a form; and what the gateway says by itself, unasked, nothing but its like.
    """
    kept = [each for each in menu.choices if _is_kept(each, provider_id, is_form)] if menu is not None else []
    return max((each.number for each in kept), default=0) + 1


def shown(menu: Menu | None, choices: Sequence[Choice], now_ms: int) -> Menu:
    """The menu once `choices` are shown. Those that begin at 1 replace those that there were; others what they
    collide with. A form that is replaced goes aside, unless it is the same one, asked again.
    """
    if menu is None or not choices:
        return Menu(choices=[*(menu.choices if menu is not None else []), *choices], shown_at_ms=now_ms)
    again = {each.form for each in choices if isinstance(each, Submit)}
    taken = {each.number for each in choices}
    replaces = 1 in taken
    kept: list[Choice] = []
    aside = [each for each in menu.aside if not _is_any_of(each, again)]
    for group in _groups(menu.choices):
        if _is_any_of(group, again):
            continue
        if not replaces and not taken & {each.number for each in group}:
            kept += group
        elif any(isinstance(each, Submit) for each in group):
            aside.append(group)
    return Menu(choices=[*kept, *choices], shown_at_ms=now_ms, aside=aside[-_MOST_ASIDE:])


def overtaken(menu: Menu | None, choices: Sequence[Choice]) -> Submit | None:
    """The open form that `choices` will take the numbers of, once they are shown."""
    if menu is None:
        return None
    before = {id(each) for each in menu.aside}
    after = shown(menu, choices, menu.shown_at_ms)
    gone = [group for group in after.aside if id(group) not in before]
    return submit_of(gone[-1]) if gone else None


def inherited(menu: Menu | None, choices: Sequence[Choice]) -> list[Choice]:
    """`choices`, and what was filled in already where they are a form that is asked again."""
    submit = submit_of(choices)
    if menu is None or submit is None:
        return list(choices)
    old = next((group for group in [*_groups(menu.choices), *menu.aside] if _is_any_of(group, {submit.form})), [])
    known = {each.name: each for each in old if isinstance(each, Blank) and each.value is not None}
    return [_with_value_of(each, known) if isinstance(each, Blank) else each for each in choices]


def without(menu: Menu, event_id: str) -> Menu:
    """The menu without an event's choices, one of which was taken."""
    left = [choice for choice in menu.choices if choice.event_id != event_id]
    return msgspec.structs.replace(menu, choices=left)


def called_back(menu: Menu, now_ms: int) -> Menu | None:
    """The menu with the form that was overtaken last, and the one that is open aside. None: there is none."""
    if not menu.aside:
        return None
    *others, back = menu.aside
    renumbered: list[Choice] = [msgspec.structs.replace(each, number=at) for at, each in enumerate(back, 1)]
    return shown(msgspec.structs.replace(menu, aside=others), renumbered, now_ms)


def submit_of(choices: Iterable[Choice]) -> Submit | None:
    return next((each for each in choices if isinstance(each, Submit)), None)


def blanks_of(menu: Menu, event_id: str) -> list[Blank]:
    return [each for each in menu.choices if isinstance(each, Blank) and each.event_id == event_id]


def form_lines(choices: Sequence[Choice]) -> list[str]:
    """A line for each blank and for what submits them, and one that says how to fill them in."""
    language = language_of(choices)
    lines = [line(choice, language) for choice in choices]
    blank = next((each for each in choices if isinstance(each, Blank) and each.value is None), None)
    submit = submit_of(choices)
    if submit is not None:
        number = str(submit.number)
        lines.append(
            phrases.say("to_change", language, submit=number)
            if blank is None
            else phrases.say("to_fill", language, example=example(blank, language), submit=number)
        )
    return lines


def still_open(menu: Menu | None) -> str:
    """What waits for an answer, and how to give it; empty where nothing does. The form that was shown last."""
    if menu is None:
        return ""
    if menu.submits:
        submit = menu.submits[-1]
        choices: list[Choice] = [*blanks_of(menu, submit.event_id), submit]
        language = language_of(choices)
        head = phrases.say("still_open", language, title=title_of(submit, language))
        return "\n".join([head, *form_lines(choices), phrases.say("or_cancel", language)])
    if menu.asked:
        language = language_of(menu.asked)
        head = phrases.say("question_open", language)
        lines = [line(each, language) for each in menu.asked]
        return "\n".join([head, *lines, phrases.say("choose", language)])
    return ""


def title_of(submit: Submit, language: Language) -> str:
    return submit.title or phrases.say("form", language)


def line(choice: Choice, language: Language) -> str:
    if not isinstance(choice, Blank):
        return f"{choice.number}. {choice.label}"
    if choice.value is not None:
        named = dict(choice.options or [])
        filled = phrases.say("filled", language)
        value = _clipped(named.get(choice.value, choice.value))
        value = with_weekday(value, language) if choice.kind == "date" else value
        return f"{choice.number}. {choice.label}{filled}{value}"
    required = phrases.say("required", language) if choice.required else ""
    options = phrases.say("options", language, options=options_of(choice)) if choice.options else ""
    return f"{choice.number}. {choice.label}{required}{options}"


def options_of(blank: Blank) -> str:
    return " / ".join(f"{number} {label}" for number, (_, label) in enumerate(blank.options or [], 1))


def example(blank: Blank, language: Language) -> str:
    content = blank.options[0][1] if blank.options else phrases.say(blank.kind, language)
    return f"{blank.number} {content}"


def dump(menu: Menu) -> str | None:
    """None where nothing is open."""
    return msgspec.json.encode(menu).decode() if menu.choices or menu.aside else None


def load(raw: str | None) -> Menu | None:
    return msgspec.json.decode(raw, type=Menu) if raw is not None else None


def dump_choices(choices: Sequence[Choice]) -> str | None:
    return msgspec.json.encode(list(choices)).decode() if choices else None


def load_choices(raw: str | None) -> list[Choice]:
    return msgspec.json.decode(raw, type=list[Choice]) if raw is not None else []


def _is_kept(choice: Choice, newcomer: str, is_form: bool) -> bool:
    if is_form:
        return False
    if isinstance(choice, Pick):
        return newcomer == BUILTIN and choice.provider_id != BUILTIN
    return True


def _groups(choices: Iterable[Choice]) -> list[list[Choice]]:
    """By event, in the order in which they were shown."""
    groups: dict[str, list[Choice]] = {}
    for choice in choices:
        groups.setdefault(choice.event_id, []).append(choice)
    return list(groups.values())


def _is_any_of(group: Iterable[Choice], forms: set[tuple[str, str]]) -> bool:
    submit = submit_of(group)
    return submit is not None and submit.form in forms


def _with_value_of(blank: Blank, known: Mapping[str, Blank]) -> Blank:
    """What was filled in, unless the form now says something else, or asks for something else under the same name.

    What the form adds to a long text is added to what the person wrote.
    """
    old = known.get(blank.name)
    if old is None or (blank.kind, blank.options) != (old.kind, old.options):
        return blank
    if blank.value in (None, old.default):
        return msgspec.structs.replace(blank, value=old.value)
    if blank.is_long and old.value not in (None, old.default):
        return msgspec.structs.replace(blank, value=_added_to(old, blank))
    return blank


def _added_to(old: Blank, new: Blank) -> str:
    """What the person wrote, and what the new form says beyond the old one."""
    written, between = old.value or "", phrases.say("between_limits", language_of([new]))
    more = (new.value or "").removeprefix(old.default or "").strip("；; ")
    return written if more in written else f"{written}{between}{more}"[: new.longest]


def _clipped(value: str) -> str:
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[: _SHOWN_CHARACTERS - 1]}…"
