"""Days as people write them, Chinese or English: "下周五", "下个月三号", "in two weeks", "March 1". Pure.

A week begins on Monday: "下周五" and "next Friday" are the Friday of the week after this one. A day without a year
is the next one that comes.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from uniassist.contracts.language import Language
from uniassist.contracts.scripts import simplified

BEIJING = dt.timezone(dt.timedelta(hours=8))
LONGEST = 60  # characters; what is longer is no day

_DIGITS = {each: at for at, each in enumerate("〇一二三四五六七八九")} | {"两": 2, "零": 0}
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ENGLISH_NUMBERS = {word: at for at, word in enumerate(_COUNTED, 1)} | {
    "a": 1,
    "an": 1,
    "a couple of": 2,
    "twenty": 20,
    "thirty": 30,
}
_MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): at for at, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
_WEEKDAYS = {name.lower(): at for at, name in enumerate(calendar.day_name)}
_WEEKDAYS |= {name.lower(): at for at, name in enumerate(calendar.day_abbr)} | {"tues": 1, "thur": 3, "thurs": 3}
_CHINESE_WEEKDAYS = {each: at for at, each in enumerate("一二三四五六日")} | {"天": 6, "末": 5}
_NAMED = {"今天": 0, "今晚": 0, "今日": 0, "明天": 1, "明早": 1, "明晚": 1, "明日": 1, "后天": 2, "大后天": 3} | {
    "today": 0,
    "tonight": 0,
    "tomorrow": 1,
    "day after tomorrow": 2,
}
_FEASTS = {
    "元旦": (1, 1),
    "情人节": (2, 14),
    "妇女节": (3, 8),
    "劳动节": (5, 1),
    "五一": (5, 1),
    "儿童节": (6, 1),
    "六一": (6, 1),
    "教师节": (9, 10),
    "国庆": (10, 1),
    "平安夜": (12, 24),
    "圣诞": (12, 25),
    "new year's eve": (12, 31),
    "new years eve": (12, 31),
    "new year": (1, 1),
    "valentine": (2, 14),
    "halloween": (10, 31),
    "christmas eve": (12, 24),
    "christmas": (12, 25),
}

_N = r"(?P<count>\d{1,3}|[一二两三四五六七八九十]{1,3})"
_D = r"(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3})"
_M = r"(?P<month>\d{1,2}|[一二三四五六七八九十]{1,2})"
_EN = rf"(?P<count>\d{{1,3}}|{'|'.join(sorted(_ENGLISH_NUMBERS, key=len, reverse=True))})"
_EN_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_EN_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_EN_WEEKDAY = rf"(?P<weekday>{'|'.join(sorted(_WEEKDAYS, key=len, reverse=True))})"
_YEAR = r"(?:(?P<year>今年|明年|后年)的?)?"
_WEEK = r"(?:周|星期|礼拜)"
# What may stand around a day and says nothing of which one it is.
_BEFORE = re.compile(
    r"^(?:那就?|就|在|到|等|最晚|最迟|截止到?|截至|不晚于|by|before|until|till|on|due|no later than)\s*"
)
_AFTER = re.compile(
    r"\s*(?:之前|以前|前|左右|那天|当天|吧|呢|啊|上午|下午|中午|晚上|早上|节"
    r"|(?:in the )?(?:morning|afternoon|evening)|please|at the latest|'s day| day)$"
)


@dataclass(frozen=True)
class _Form:
    """anywhere: it is a day wherever it stands in a text; else only where it is all of it.
    is_english: what has no Latin letter isn't read by it.
    """

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str], dt.date], dt.date | None]
    anywhere: bool = True
    is_english: bool = False


def read_date(text: str, today: dt.date) -> dt.date | None:
    """The day that `text` is and nothing else; None where it is none, or there is no such day."""
    plain = _folded(text) if len(text) <= LONGEST else ""
    while True:  # ends: each round makes it shorter
        for form in _forms_for(plain):
            if (found := form.pattern.fullmatch(plain)) is not None:
                return _tried(form, found, today)
        shorter = _AFTER.sub("", _BEFORE.sub("", plain))
        if shorter in (plain, ""):
            return None
        plain = shorter


def find_date(text: str, today: dt.date) -> dt.date | None:
    """A day that `text` names among other things."""
    plain = _folded(text)
    for form in _forms_for(plain):
        if form.anywhere and (found := form.pattern.search(plain)) is not None:
            return _tried(form, found, today)
    return None


def day_of(at_ms: int, timezone: str | None) -> dt.date | None:
    """The calendar day at `at_ms` (Unix milliseconds) in an IANA zone, Beijing's without one that is known.

    None for a clock that is no date.
    """
    try:
        return dt.datetime.fromtimestamp(at_ms / 1000, _zone(timezone)).date()
    except (OverflowError, ValueError, OSError):
        return None


def with_weekday(date: str, language: Language) -> str:
    """A date with its weekday, which shows whether it is the one that was meant; what is no date stays as it is."""
    try:
        weekday = dt.date.fromisoformat(date).weekday()
    except ValueError:
        return date
    return (
        f"{date} ({calendar.day_name[weekday]})" if language == "en" else f"{date}（周{'一二三四五六日'[weekday]}）"
    )


def _zone(name: str | None) -> dt.tzinfo:
    try:
        return ZoneInfo(name) if name else BEIJING
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a directory of the database
        return BEIJING


def _folded(text: str) -> str:
    plain = simplified(text).translate(_NARROW).casefold().replace("’", "'")
    return re.sub(r"(?<=[a-z0-9]),\s*(?=[a-z0-9])", " ", " ".join(plain.split())).strip(" 。.!！?？,，~～")


_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def _tried(form: _Form, found: re.Match[str], today: dt.date) -> dt.date | None:
    try:
        return form.read(found, today)
    except (ValueError, OverflowError):
        return None  # February 30


def _number(written: str) -> int:
    if written.isdigit():
        return int(written)
    if written in _ENGLISH_NUMBERS:
        return _ENGLISH_NUMBERS[written]
    tens, ten, ones = written.partition("十")
    if not ten:
        if len(written) != 1:
            raise ValueError(written)
        return _DIGITS[written]
    return 10 * (_DIGITS[tens] if tens else 1) + (_DIGITS[ones] if ones else 0)


def _of_year(found: re.Match[str], today: dt.date, month: int, day: int) -> dt.date:
    """In the year that is named, else the next one that comes."""
    named = found.groupdict().get("year")
    if named is not None:
        years = {"今年": 0, "明年": 1, "后年": 2}
        return dt.date(today.year + years[named] if named in years else int(named), month, day)
    this_year = dt.date(today.year, month, day)
    return this_year if this_year >= today else dt.date(today.year + 1, month, day)


def _months_after(today: dt.date, months: int, day: int | None = None) -> dt.date:
    """`day` of a later month; None: the same day, or the month's last where it has no such day."""
    year, month = divmod(today.year * 12 + today.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(today.day, last) if day is None else day)


def _month_end(today: dt.date, months: int) -> dt.date:
    first = _months_after(today.replace(day=1), months)
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _later(today: dt.date, count: int, unit: str) -> dt.date:
    match unit:
        case "天" | "日" | "day":
            return today + dt.timedelta(days=count)
        case "个月" | "月" | "month":
            return _months_after(today, count)
        case "年" | "year":
            return _months_after(today, 12 * count)
        case "fortnight":
            return today + dt.timedelta(weeks=2 * count)
    return today + dt.timedelta(weeks=count)


def _half(found: re.Match[str], today: dt.date) -> dt.date:
    return _months_after(today, 6) if found["unit"] == "年" else today + dt.timedelta(days=15)


def _next_weekday(today: dt.date, weekday: int) -> dt.date:
    return today + dt.timedelta(days=(weekday - today.weekday()) % 7)


def _of_week(today: dt.date, weekday: int, weeks: int) -> dt.date | None:
    """None where it is over."""
    day = today - dt.timedelta(days=today.weekday()) + dt.timedelta(weeks=weeks, days=weekday)
    return day if day >= today else None


def _day_of_month(found: re.Match[str], today: dt.date) -> dt.date:
    day = _number(found["day"])
    return _months_after(today, 0 if day >= today.day else 1, day)


def _weeks(named: str) -> int:
    return {"这": 0, "本": 0, "这个": 0, "this": 0}.get(named, named.count("下") or 1)


def _months(named: str) -> int:
    return named.count("下")


def _form(
    pattern: str, read: Callable[[re.Match[str], dt.date], dt.date | None], *, anywhere: bool = True
) -> _Form:
    return _Form(re.compile(pattern), read, anywhere)


def _english(
    pattern: str, read: Callable[[re.Match[str], dt.date], dt.date | None], *, anywhere: bool = True
) -> _Form:
    """One with a letter in whatever it reads."""
    return _Form(re.compile(pattern), read, anywhere, is_english=True)


_FORMS = (
    _form(
        r"(?<!\d)(?P<year>\d{4})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})(?!\d)\s*[日号]?",
        lambda it, _: dt.date(int(it["year"]), int(it["month"]), int(it["day"])),
    ),
    _form(
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
        lambda it, _: dt.date(int(it["year"]), int(it["month"]), int(it["day"])),
        anywhere=False,
    ),
    _form(
        rf"(?<![\d一二三四五六七八九十]){_YEAR}{_M}\s*月\s*{_D}\s*[日号]",
        lambda it, today: _of_year(it, today, _number(it["month"]), _number(it["day"])),
    ),
    _form(
        rf"{_YEAR}{_M}月{_D}",
        lambda it, today: _of_year(it, today, _number(it["month"]), _number(it["day"])),
        anywhere=False,
    ),
    _english(
        rf"\b{_EN_MONTH}\s+{_EN_DAY}\b(?:\s+(?P<year>\d{{4}}))?",
        lambda it, today: _of_year(it, today, _MONTHS[it["month"]], int(it["day"])),
    ),
    _english(
        rf"\b(?:the\s+)?{_EN_DAY}\s+(?:of\s+)?{_EN_MONTH}\b(?:\s+(?P<year>\d{{4}}))?",
        lambda it, today: _of_year(it, today, _MONTHS[it["month"]], int(it["day"])),
    ),
    _form(
        rf"(?P<which>这个?|本|下+个?)月的?{_D}\s*[号日]",
        lambda it, today: _months_after(today, _months(it["which"]), _number(it["day"])),
    ),
    _english(
        rf"\b(?:the\s+)?{_EN_DAY}\s+(?:of\s+)?(?P<which>next|this) month\b",
        lambda it, today: _months_after(today, int(it["which"] == "next"), int(it["day"])),
    ),
    _english(
        rf"\b(?P<which>next|this) month,?\s+(?:on\s+)?the\s+{_EN_DAY}\b",
        lambda it, today: _months_after(today, int(it["which"] == "next"), int(it["day"])),
    ),
    _form(
        r"(?P<which>这个?|本|下+个?)?月(?:底|末)", lambda it, today: _month_end(today, _months(it["which"] or ""))
    ),
    _form(r"(?P<which>下+个?)月初", lambda it, today: _months_after(today, _months(it["which"]), 1)),
    _form(
        r"(?P<year>今年|明年|后年)?年?(?:年底|年末)(?!总|奖|终|考)",
        lambda it, today: _of_year(it, today, 12, 31),
    ),
    _english(
        r"\b(?:the\s+)?end of (?P<which>the|this|next) (?P<unit>month|year)\b",
        lambda it, today: (
            _month_end(today, int(it["which"] == "next"))
            if it["unit"] == "month"
            else dt.date(today.year + int(it["which"] == "next"), 12, 31)
        ),
    ),
    _form(
        rf"(?P<which>这个?|本|下+个?){_WEEK}的?(?P<weekday>[一二三四五六日天末])",
        lambda it, today: _of_week(today, _CHINESE_WEEKDAYS[it["weekday"]], _weeks(it["which"].removesuffix("个"))),
    ),
    _form(
        rf"(?<![每上逢个]){_WEEK}(?P<weekday>[一二三四五六日天])(?:之前|以前|前)",
        lambda it, today: _next_weekday(today, _CHINESE_WEEKDAYS[it["weekday"]]),
    ),
    _form(
        rf"{_WEEK}(?P<weekday>[一二三四五六日天末])",
        lambda it, today: _next_weekday(today, _CHINESE_WEEKDAYS[it["weekday"]]),
        anywhere=False,
    ),
    _english(
        rf"\b(?P<which>next|this)\s+{_EN_WEEKDAY}\b",
        lambda it, today: _of_week(today, _WEEKDAYS[it["weekday"]], _weeks(it["which"])),
    ),
    _english(
        rf"\b{_EN_WEEKDAY} (?:of )?next week\b",
        lambda it, today: _of_week(today, _WEEKDAYS[it["weekday"]], 1),
    ),
    _english(
        rf"\b(?:by|before|until|till)\s+{_EN_WEEKDAY}\b",
        lambda it, today: _next_weekday(today, _WEEKDAYS[it["weekday"]]),
    ),
    _english(_EN_WEEKDAY, lambda it, today: _next_weekday(today, _WEEKDAYS[it["weekday"]]), anywhere=False),
    _english(
        r"(?P<which>this|next) weekend",
        lambda it, today: _of_week(today, 5, _weeks(it["which"])),
        anywhere=False,
    ),
    _form(
        rf"(?<![\d.一二三四五六七八九十]){_N}\s*(?P<unit>天|日|周|个?星期|个?礼拜|个月|年)(?:之?内|之?后|以内|以后|过后)",
        lambda it, today: _later(today, _number(it["count"]), it["unit"]),
    ),
    _form(
        rf"再?过{_N}\s*(?P<unit>天|周|个?星期|个?礼拜|个月|年)",
        lambda it, today: _later(today, _number(it["count"]), it["unit"]),
    ),
    _form(r"半(?P<unit>个月|年)(?:之?内|之?后|以内|以后)", _half),
    _english(
        rf"\b(?:in|within)\s+{_EN}\s+(?P<unit>day|week|fortnight|month|year)s?\b(?:'?\s*time)?",
        lambda it, today: _later(today, _number(it["count"]), it["unit"]),
    ),
    _english(
        rf"\b{_EN}\s+(?P<unit>day|week|fortnight|month|year)s?\s+(?:from (?:now|today)|later)\b",
        lambda it, today: _later(today, _number(it["count"]), it["unit"]),
    ),
    _form(
        rf"{_YEAR}(?P<feast>{'|'.join(sorted(_FEASTS, key=len, reverse=True))})",
        lambda it, today: _of_year(it, today, *_FEASTS[it["feast"]]),
    ),
    _form(
        rf"(?:the )?(?P<name>{'|'.join(sorted(_NAMED, key=len, reverse=True))})",
        lambda it, today: today + dt.timedelta(days=_NAMED[it["name"]]),
    ),
    _form(rf"{_D}\s*[号日]", _day_of_month, anywhere=False),
    _english(r"(?:the )?(?P<day>\d{1,2})(?:st|nd|rd|th)", _day_of_month, anywhere=False),
)
_WITHOUT_LETTERS = tuple(each for each in _FORMS if not each.is_english)
_LETTER = re.compile(r"[a-z]")


def _forms_for(plain: str) -> tuple[_Form, ...]:
    return _FORMS if _LETTER.search(plain) is not None else _WITHOUT_LETTERS
