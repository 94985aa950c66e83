"""What a person's words are as the value of a blank: kept, or refused with the reason. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.rendering.menus import Blank, options_of
from uniassist.contracts.dates import day_of, read_date
from uniassist.contracts.language import Language
from uniassist.contracts.scripts import simplified

_NUMBER = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,18})(?:\.\d{1,18})?)\s*[个人位天次块元岁名份件晚间]?")


@dataclass(frozen=True)
class Refused:
    """Why a value isn't taken, for the person."""

    reason: str


def read_value(blank: Blank, content: str, language: Language, now_ms: int) -> str | Refused:
    """The value that `content` stands for. Of a text it is what was written, to the letter.

    now_ms: when it was written, in Unix milliseconds; for "明天", by the clock of Beijing.
    """
    folded = unicodedata.normalize("NFKC", content).strip()
    if blank.options:
        key = _option(blank.options, content.strip(), folded)
        return key if key is not None else _refused("not_an_option", blank, language, options=options_of(blank))
    match blank.kind:
        case "date":
            today = day_of(now_ms, None)
            date = read_date(content, today) if today is not None else None
            return date.isoformat() if date is not None else _refused("not_a_date", blank, language)
        case "number" | "integer":
            return _number(blank, simplified(folded).rstrip("。"), language)
    if blank.longest is not None and len(content) > blank.longest:
        return _refused("too_long", blank, language, limit=str(blank.longest))
    return content


def submitted(blank: Blank) -> str | int | float:
    """A value that `read_value` took or a provider gave, as the form's schema has it."""
    assert blank.value is not None
    try:
        if blank.kind == "integer":
            return int(blank.value)
        if blank.kind == "number":
            return float(blank.value)
    except ValueError:
        pass  # the provider's own default, as it was written
    return blank.value


def _refused(key: str, blank: Blank, language: Language, **values: str) -> Refused:
    return Refused(phrases.say(key, language, label=blank.label, **values))


def _option(options: list[tuple[str, str]], content: str, folded: str) -> str | None:
    by_name = {name: key for key, label in options for name in (key, label)}
    by_folded = {simplified(unicodedata.normalize("NFKC", name).casefold()): key for name, key in by_name.items()}
    by_number = {str(number): key for number, (key, _) in enumerate(options, 1)}
    return by_name.get(content) or by_folded.get(simplified(folded.casefold())) or by_number.get(folded)


def _number(blank: Blank, folded: str, language: Language) -> str | Refused:
    is_integer = blank.kind == "integer"
    found = _NUMBER.fullmatch(folded)
    value = found[1].replace(",", "") if found is not None else ""
    if not value or (is_integer and "." in value) or not math.isfinite(float(value)):
        return _refused("not_an_integer" if is_integer else "not_a_number", blank, language)
    return value
