"""The forms of English days, ranges and markers, over lower-case text."""

from __future__ import annotations

import calendar
import datetime as dt
import re

from uniassist.times.calendars import FEASTS, coming, coming_date, monday, month_end, months_after, next_weekday
from uniassist.times.chinese import bare_day, coming_month
from uniassist.times.parts import Bounding, Form, HalfOfDay, OnDays, Until, form, one

MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_name) if name}
MONTHS |= {name.lower(): at for at, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
WEEKDAYS = {name.lower(): at for at, name in enumerate(calendar.day_name)}
_SHORT = {name.lower(): at for at, name in enumerate(calendar.day_abbr)} | {"tues": 1, "thur": 3, "thurs": 3}
ALL_WEEKDAYS = WEEKDAYS | _SHORT


def any_of(names: object) -> str:
    return "|".join(sorted((re.escape(str(each)) for each in names), key=len, reverse=True))  # type: ignore[attr-defined]


_MONTH = rf"(?P<month>{any_of(MONTHS)})\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_FULL_WEEKDAY = rf"(?P<weekday>{any_of(WEEKDAYS)})"
# "I sat in the sun": a short name counts only where something before it says so.
WEEKDAY = rf"(?P<weekday>{any_of(ALL_WEEKDAYS)})"
_NAMED: dict[str, tuple[int, HalfOfDay | None]] = {
    "the day before yesterday": (-2, None),
    "yesterday": (-1, None),
    "last night": (-1, "evening"),
    "today": (0, None),
    "tonight": (0, "evening"),
    "this morning": (0, "morning"),
    "this afternoon": (0, "afternoon"),
    "this evening": (0, "evening"),
    "tomorrow": (1, None),
    "tmrw": (1, None),
    "the day after tomorrow": (2, None),
    "day after tomorrow": (2, None),
}
_WHICH = {"last": -1, "this": 0, "the": 0, "coming": 0, "this coming": 0, "next": 1}


def _month_day(found: re.Match[str], today: dt.date) -> OnDays:
    month, day = MONTHS[found["month"]], int(found["day"])
    that = coming_date(today, month, day, int(found["year"]) if found["year"] else None)
    return OnDays(that, that, month=month, month_day=day)


def _days_of_month(found: re.Match[str], today: dt.date) -> OnDays:
    first = coming_date(
        today, MONTHS[found["month"]], int(found["day"]), int(found["year"]) if found["year"] else None
    )
    return OnDays(first, first.replace(day=int(found["last"])))


def _weekday(found: re.Match[str], today: dt.date) -> OnDays:
    weekday = ALL_WEEKDAYS[found["weekday"]]
    which = (found["which"] or "").strip()
    if which in ("", "coming", "this coming"):
        day = next_weekday(today, weekday)
        return OnDays(day, day, weekday=weekday)
    return one(monday(today, _WHICH[which]) + dt.timedelta(days=weekday))


def _whole(found: re.Match[str], today: dt.date) -> OnDays:
    steps = _WHICH[found["which"]]
    match found["unit"]:
        case "week":
            first, last = monday(today, steps), monday(today, steps) + dt.timedelta(days=6)
        case "month":
            first = months_after(today.replace(day=1), steps)
            last = month_end(first)
        case "year":
            first, last = dt.date(today.year + steps, 1, 1), dt.date(today.year + steps, 12, 31)
        case _:
            first = monday(today, steps) + dt.timedelta(days=5)
            last = first + dt.timedelta(days=1)
    return OnDays(max(first, today) if steps == 0 else first, last)


def _end_of(found: re.Match[str], today: dt.date) -> OnDays:
    steps = _WHICH[found["which"]]
    match found["unit"]:
        case "week":
            return one(monday(today, steps) + dt.timedelta(days=6))
        case "month":
            return one(month_end(today, steps))
    return one(dt.date(today.year + steps, 12, 31))


def _month(found: re.Match[str], today: dt.date) -> OnDays:
    first = coming_month(today, MONTHS[found["month"]])
    if found["year"]:
        first = first.replace(year=int(found["year"]))
    return OnDays(max(first, today) if first.year == today.year else first, month_end(first))


def _named(found: re.Match[str], today: dt.date) -> OnDays:
    days, half = _NAMED[found[0]]
    return one(today + dt.timedelta(days=days), half)


def _feast(found: re.Match[str], today: dt.date) -> OnDays:
    name = found["feast"].replace("-", " ").replace("mid autumn", "mid-autumn")
    return one(coming(today, FEASTS[name], int(found["year"]) if found["year"] else None))


def _later_than(found: re.Match[str], today: dt.date) -> OnDays:
    """A week from Friday."""
    weeks = 2 if found["count"] in ("two", "2") else 1
    named = found["day"]
    day = (
        today + dt.timedelta(days=_NAMED[named][0]) if named in _NAMED else next_weekday(today, ALL_WEEKDAYS[named])
    )
    return one(day + dt.timedelta(weeks=weeks))


_FEAST_NAMES = any_of([name for name in FEASTS if name.isascii()] + ["mid autumn festival"])
FORMS: tuple[Form, ...] = (
    form(rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}\b(?![:.]\d){_YEAR}", _month_day),
    form(
        rf"\b{_MONTH}\s+{_DAY}\s*(?:-|–|to|through|until)\s*(?P<last>\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.]\d){_YEAR}",
        _days_of_month,
    ),
    form(
        rf"(?<![\d.:])\b(?:the\s+)?{_DAY}\s*(?:-|–|to)\s*(?:the\s+)?(?P<last>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?!\w){_YEAR}",
        _days_of_month,
    ),
    form(rf"(?<![\d.:])(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}(?!\w){_YEAR}", _month_day),
    form(
        rf"\bthe\s+{_DAY}\s+of\s+(?P<which>next|this)\s+month\b",
        lambda found, today: one(months_after(today, _WHICH[found["which"]], int(found["day"]))),
    ),
    form(
        rf"\b(?P<which>next|this)\s+month,?\s+(?:on\s+)?the\s+{_DAY}\b",
        lambda found, today: one(months_after(today, _WHICH[found["which"]], int(found["day"]))),
    ),
    form(
        r"\bthe (?P<day>\d{1,2})(?:st|nd|rd|th)\b"
        r"(?! (?:of|floor|time|century|place|grade|step|edition|\w+ (?:of|in)\b))",
        lambda found, today: bare_day(today, int(found["day"])),
    ),
    form(rf"\b(?P<which>(?:this coming|last|this|next|coming)\s+|)(?:of\s+)?{_FULL_WEEKDAY}\b(?!s)", _weekday),
    form(rf"\b(?P<which>this coming|last|this|next|coming)\s+{WEEKDAY}\b", _weekday),
    form(rf"(?:(?<=\bon )|(?<=\bby )|(?<=\bfrom )|(?<=\bto )|(?<=\buntil ))(?P<which>){WEEKDAY}\b", _weekday),
    form(
        rf"\b{WEEKDAY} (?:of )?next week\b",
        lambda found, today: one(monday(today, 1) + dt.timedelta(days=ALL_WEEKDAYS[found["weekday"]])),
    ),
    form(r"\b(?P<which>this|next|last)\s+(?P<unit>week|month|year|weekend)\b", _whole),
    form(r"\b(?P<which>the|this|next) (?P<unit>weekend)\b", _whole),
    form(r"\b(?:the\s+)?end of (?P<which>the|this|next) (?P<unit>week|month|year)\b", _end_of),
    form(rf"\b(?:in|during|by)\s+{_MONTH}(?!\s*\d)(?:\s+(?P<year>\d{{4}}))?(?!\w)", _month),
    form(rf"\b(?:{any_of(_NAMED)})\b", _named),
    form(rf"\b(?P<feast>{_FEAST_NAMES})\b(?:\s+(?P<year>\d{{4}})\b)?", _feast),
    form(
        rf"\b(?P<count>a|one|1|two|2) weeks? (?:from|after) (?P<day>{any_of(WEEKDAYS)}|today|tomorrow)\b",
        _later_than,
    ),
    form(
        r"\b(?:to|until|till|through)\b|(?<=\w)\s*[-–—~]\s*(?=\w)",
        lambda found, _: Until(may_bound=found[0].endswith("til") or found[0] == "till"),
    ),
    form(r"\b(?:due )?(?:by|before|no later than|not later than|at the latest by)\b", lambda *_: Bounding("by")),
    form(r"\b(?:starting|beginning|starting from|since|as of|from)\b(?: on\b)?", lambda *_: Bounding("from")),
)
