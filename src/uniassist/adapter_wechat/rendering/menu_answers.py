"""What an answer does to a menu: it chooses, fills in, submits, closes, or is none and goes to the gateway. Pure.

What is said beside the matter is never an answer, but a yes to what is open, and "取消", which closes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.rendering import menus
from uniassist.adapter_wechat.rendering.blank_values import Refused, read_value, submitted
from uniassist.adapter_wechat.rendering.menu_numbers import folded, number_named, numbered
from uniassist.adapter_wechat.rendering.menus import Blank, Choice, Menu, Pick, Submit
from uniassist.contracts.base import Wire
from uniassist.contracts.courtesies import courtesy
from uniassist.contracts.scripts import simplified

MAX_ANSWER = 4000
_BACK = {"返回", "返回表单", "继续填写", "继续填", "回到表单", "back", "go back", "resume", "continue the form"}
_CHANGES = re.compile(r"\s*(?:[:=]|是|为|(?:改|换|填)[成到为]|is\b|to\b|\s)\s*")
_ASKS = re.compile(r"(?:什么|啥|怎么|哪|谁|几|多少)|.*(?:[?？]|吗|呢)$", re.DOTALL)


@dataclass(frozen=True)
class Chosen:
    """An answer that goes to the gateway."""

    choice: Pick | Submit
    payload: Any


@dataclass(frozen=True)
class Told:
    """An answer that is given here. menu: with what was filled in."""

    text: str
    menu: Menu


@dataclass(frozen=True)
class Closed:
    """The menu is closed, and the message goes on to the gateway, which has something to end as well.

    text: what is said of it, should nobody else have something to say.
    """

    text: str
    menu: Menu


Answer = Chosen | Told | Closed | None


class _Decision(Wire, kw_only=True, frozen=True):
    choice: Pick | Submit | None = None
    payload: Any = None
    told: str | None = None
    closed: str | None = None


def read_answer(menu: Menu, text: str, now_ms: int, written_at_ms: int | None = None) -> Answer:
    """What `text` does to the menu; None when it is an ordinary message.

    written_at_ms: the person's now, for "明天"; None: `now_ms`. Both in Unix milliseconds.
    """
    if len(text) > MAX_ANSWER or not text.strip():
        return None
    reading = _Reading(menu, now_ms, now_ms if written_at_ms is None else written_at_ms)
    number = number_named(text)
    if not menu.is_open(now_ms):
        return reading.too_late() if number is not None else None
    if number is not None:
        return reading.named(number)
    return reading.label(text) or reading.courtesy(text) or reading.filled(text)


def dump_answer(answer: Answer) -> str:
    """The answer as text, for the next push of the same message."""
    match answer:
        case Chosen(choice=choice, payload=payload):
            kept = _Decision(choice=choice, payload=payload)
        case Told(text=text):
            kept = _Decision(told=text)
        case Closed(text=text):
            kept = _Decision(closed=text)
        case _:
            kept = _Decision()
    return msgspec.json.encode(kept).decode()


def load_answer(raw: str) -> Answer:
    """The answer of an earlier push. Its menu is empty, since what it changed is written already."""
    kept = msgspec.json.decode(raw, type=_Decision)
    if kept.choice is not None:
        return Chosen(kept.choice, kept.payload)
    if kept.closed is not None:
        return Closed(kept.closed, Menu(choices=[], shown_at_ms=0))
    return Told(kept.told, Menu(choices=[], shown_at_ms=0)) if kept.told is not None else None


class _Reading:
    """One text against one menu."""

    def __init__(self, menu: Menu, now_ms: int, written_at_ms: int) -> None:
        self._menu = menu
        self._now_ms = now_ms
        self._written_at_ms = written_at_ms
        self._language = menus.language_of(menu.choices)

    def named(self, number: int) -> Answer:
        chosen = self._at(number)
        if chosen is None and (open_now := menus.still_open(self._menu)):
            told = phrases.say("no_such_number", self._language, number=str(number))
            return Told(f"{told}\n\n{open_now}", self._menu)
        return self._chosen(chosen)

    def too_late(self) -> Answer:
        """Who comes back after a day scrolls up and answers. The menu goes: it is said once."""
        return Told(phrases.say("expired", self._language), Menu(choices=[], shown_at_ms=self._now_ms))

    def label(self, text: str) -> Answer:
        """A text that is the label of a choice, or an option that only one blank has."""
        said = _bare(text)
        if not said:
            return None
        for choice in reversed(self._menu.choices):
            if _bare(choice.label) == said:
                return self._chosen(choice)
        blanks = [each for each in self._menu.choices if isinstance(each, Blank) and said in _option_names(each)]
        return self._fill([(blanks[0], text.strip())]) if len(blanks) == 1 else None

    def courtesy(self, text: str) -> Answer:
        """A yes, a "never mind", or the wish to have an earlier form back."""
        if _bare(text) in _BACK:
            return self._back()
        match courtesy(text):
            case "assent":
                return self._assented()
            case "leave":
                return self._closed()
        return None

    def filled(self, text: str) -> Answer:
        """Lines that each say which blank they fill in; all of them, or the text is none."""
        lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
        by_number = [numbered(line) for line in lines]
        if all(each is not None and each.could_be_sentence for each in by_number):
            return self._times_or_counts([each.content for each in by_number if each], lines, text)
        fillings: list[tuple[Choice, str]] = []
        for line, each in zip(lines, by_number, strict=True):
            named = (self._at(each.number), each.content) if each is not None else self._by_label(line)
            if named is not None and named[0] is not None:
                fillings.append((named[0], named[1]))
            elif each is None and fillings:  # a text of several lines goes on
                fillings[-1] = (fillings[-1][0], f"{fillings[-1][1]}\n{line}")
            else:
                return None
        choice, content = fillings[0]
        if len(fillings) == 1 and not isinstance(choice, Blank):
            return self._chosen(choice) if _bare(content) == _bare(choice.label) else None
        blanks = [(blank, content) for blank, content in fillings if isinstance(blank, Blank)]
        return self._fill(blanks) if len(blanks) == len(fillings) else None

    def _times_or_counts(self, contents: Sequence[str], lines: Sequence[str], text: str) -> Answer:
        """What could be a sentence fills a blank for numbers if it is one, and nothing else."""
        found = numbered(text)
        blank = self._at(found.number) if found is not None and len(lines) == 1 else None
        if not isinstance(blank, Blank) or blank.kind not in ("number", "integer"):
            return None
        if isinstance(read_value(blank, contents[0], self._language, self._written_at_ms), Refused):
            return None
        return self._fill([(blank, contents[0])])

    def _by_label(self, line: str) -> tuple[Choice, str] | None:
        """A blank that the line names, and what it says of it."""
        narrow = folded(line)
        blanks = [each for each in self._menu.choices if isinstance(each, Blank)]
        for blank in sorted(blanks, key=lambda each: -len(each.label)):
            found = re.match(rf"\s*(?:把|将|我的|my |the )?{re.escape(folded(blank.label))}", narrow, re.IGNORECASE)
            change = _CHANGES.match(narrow, found.end()) if found is not None else None
            if change is not None and line[change.end() :].strip():
                content = line[change.end() :].strip()
                return (blank, content) if _ASKS.match(simplified(content)) is None else None
        name, colon, content = narrow.partition(":")
        name = _bare(name)
        named = [each for each in blanks if name in _bare(each.label)] if colon and len(name) > 1 else []
        content = line[len(narrow) - len(content) :].strip()
        return (named[0], content) if len(named) == 1 and content else None

    def _at(self, number: int) -> Choice | None:
        return next((each for each in self._menu.choices if each.number == number), None)

    def _chosen(self, choice: Choice | None) -> Answer:
        match choice:
            case Pick():
                return Chosen(choice, choice.payload)
            case Blank():
                example = menus.example(choice, self._language)
                return Told(
                    phrases.say("to_fill_one", self._language, example=example, label=choice.label), self._menu
                )
            case Submit():
                return self._submitted(choice)
        return None

    def _submitted(self, submit: Submit) -> Answer:
        blanks = menus.blanks_of(self._menu, submit.event_id)
        missing = [blank.label for blank in blanks if blank.required and blank.value is None]
        if missing:
            labels = phrases.listed(missing, self._language)
            form = menus.form_lines([*blanks, submit])
            return Told("\n".join([phrases.say("missing", self._language, labels=labels), *form]), self._menu)
        values = {blank.name: submitted(blank) for blank in blanks if blank.value is not None}
        return Chosen(submit, {**submit.payload, "values": values})

    def _assented(self) -> Answer:
        if self._menu.submits:
            return self._submitted(self._menu.submits[-1])
        picks = self._menu.asked or [
            each for each in self._menu.choices if isinstance(each, Pick) and not each.is_offer
        ]
        if len(picks) == 1:
            return self._chosen(picks[0])
        agreeing = [each for each in picks if courtesy(each.label) == "assent"]
        if len(agreeing) == 1:
            return self._chosen(agreeing[0])
        if not self._menu.asked:
            return None
        which = phrases.say("which", self._language)
        return Told("\n".join([which, *(menus.line(each, self._language) for each in picks)]), self._menu)

    def _closed(self) -> Answer:
        if self._menu.submits:
            submit = self._menu.submits[-1]
            title = menus.title_of(submit, self._language)
            text = phrases.say("closed", self._language, title=title)
            back = menus.submit_of(self._menu.aside[-1]) if self._menu.aside else None
            if back is not None:
                again = phrases.say("overtaken", self._language, title=menus.title_of(back, self._language))
                text = f"{text}\n{again}"
            return Closed(text, menus.without(self._menu, submit.event_id))
        if self._menu.asked:
            left = menus.without(self._menu, self._menu.asked[-1].event_id)
            return Closed(phrases.say("question_closed", self._language), left)
        return None

    def _back(self) -> Answer:
        menu = menus.called_back(self._menu, self._now_ms)
        if menu is None:
            return None
        submit = menu.submits[-1]
        choices: list[Choice] = [*menus.blanks_of(menu, submit.event_id), submit]
        language = menus.language_of(choices)
        head = phrases.say("back", language, title=menus.title_of(submit, language))
        return Told("\n".join([head, *menus.form_lines(choices)]), menu)

    def _fill(self, fillings: Sequence[tuple[Blank, str]]) -> Answer:
        """What is good is kept; of the rest it is said why not."""
        changed: dict[int, Blank] = {}
        refused: list[str] = []
        for blank, content in fillings:
            value = read_value(blank, content, self._language, self._written_at_ms)
            if isinstance(value, Refused):
                refused.append(value.reason)
            else:
                changed[blank.number] = msgspec.structs.replace(blank, value=value)
        if not changed:
            return Told("\n".join(refused), self._menu)
        choices = [changed.get(each.number, each) for each in self._menu.choices]
        events = {blank.event_id for blank in changed.values()}
        form = menus.form_lines([each for each in choices if each.event_id in events])
        noted = phrases.say("noted", self._language)
        menu = msgspec.structs.replace(self._menu, choices=choices, shown_at_ms=self._now_ms)
        return Told("\n".join([*refused, noted, *form]), menu)


def _option_names(blank: Blank) -> set[str]:
    return {_bare(name) for option in blank.options or [] for name in option}


def _bare(text: str) -> str:
    """Without what decorates it: width, case, white space and punctuation around, and whichever script it is in."""
    return simplified(unicodedata.normalize("NFKC", text).casefold()).strip(" \t\n.。!！?？~～,，“”\"'「」()（）")
