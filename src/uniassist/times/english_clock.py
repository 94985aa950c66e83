"""The forms of English times of day, lengths and repeats, over lower-case text."""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal

from uniassist.times.english import ALL_WEEKDAYS, WEEKDAYS, any_of
from uniassist.times.model import Length
from uniassist.times.numerals import ENGLISH, number
from uniassist.times.parts import Clock, Clocks, Every, Form, Half, HalfOfDay, Lasting, Part, form

_N = rf"(?:\d{{1,4}}|{any_of(ENGLISH)})"
_H = r"(?P<hour>\d{1,2})"
_WORD_H = (
    rf"(?P<hour>\d{{1,2}}|{any_of([word for word, value in ENGLISH.items() if value <= 12 and ' ' not in word])})"
)
_HALF = r"(?P<half>[ap])\.?m\b\.?"
_HALF_MARK = r"(?P<half_day>[ap])\.?m\b\.?"
_UNITS = {"minute": 1, "min": 1, "hour": 60, "hr": 60}
_UNIT = r"(?P<unit>minute|min|hour|hr|day|week|fortnight|month|year)s?\b"
_HALVES: dict[str, HalfOfDay] = {
    "morning": "morning",
    "afternoon": "afternoon",
    "evening": "evening",
    "night": "evening",
}
_FULL = any_of(WEEKDAYS)
_WEEKDAYS = rf"(?:{any_of(ALL_WEEKDAYS)})s?\b"
_FREQS = {"hour": "HOURLY", "day": "DAILY", "week": "WEEKLY", "month": "MONTHLY", "year": "YEARLY"}
_ADVERBS = {"hourly": "HOURLY", "daily": "DAILY", "weekly": "WEEKLY", "monthly": "MONTHLY", "yearly": "YEARLY"}
_Role = Literal["plain", "later", "within", "ahead", "ago"]
_ROLES: dict[str, _Role] = {
    "from now": "later",
    "from today": "later",
    "later": "later",
    "ago": "ago",
    "before": "ahead",
    "ahead": "ahead",
    "in advance": "ahead",
    "beforehand": "ahead",
    "earlier": "ahead",
}


def _hour(written: str, half: str | None) -> int:
    hour = number(written)
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(f"{hour} {half}m: expected 1 to 12")
    return hour % 12 + (12 if half == "p" else 0)


def _clock(found: re.Match[str], _: dt.date) -> Clock | None:
    groups = found.groupdict()
    hour, minute = _hour(found["hour"], groups.get("half")), int(groups.get("minute") or 0)
    if hour > 24 or minute > 59:
        return None
    is_clear = bool(groups.get("half")) or hour >= 13 or found["hour"].startswith("0")
    return Clock(hour, minute, is_clear=is_clear)


def _nth_weekday(found: re.Match[str], _: dt.date) -> Every:
    nth = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}[found["nth"]]
    return Every("MONTHLY", weekdays=(ALL_WEEKDAYS[found["weekday"]],), nth=nth)


def _told(found: re.Match[str], _: dt.date) -> Clock | None:
    """Half past nine, quarter to five, 10 to 8."""
    minutes = {"half": 30, "quarter": 15, "a quarter": 15}.get(found["minutes"]) or number(found["minutes"])
    total = number(found["hour"]) * 60 + (minutes if found["way"] == "past" else -minutes)
    if not 0 < total < 13 * 60 or minutes >= 60:
        return None
    half = found["half_day"]
    return Clock(total // 60 % 12 + 12 * (half == "p") if half else total // 60, total % 60, is_clear=bool(half))


def _clocks(found: re.Match[str], _: dt.date) -> Clocks | None:
    last = Clock(_hour(found["hour2"], found["half"]), int(found["minute2"] or 0), is_clear=bool(found["half"]))
    hour, half = int(found["hour"]), found["half1"]
    first = Clock(_hour(found["hour"], half), int(found["minute"] or 0), is_clear=bool(half))
    if first.hour > 24 or last.hour > 24 or max(first.minute, last.minute) > 59:
        return None
    if half is None and found["half"] == "p" and hour < 12 and hour + 12 < last.hour:
        first = Clock(hour + 12, first.minute, is_clear=True)
    return Clocks(first, last)


def _lasting(found: re.Match[str], _: dt.date) -> Part | None:
    unit = found["unit"]
    count, has_half = found["count"], bool(found["more"])
    halves = 1 if count.startswith("half") else 2 * number(count) + has_half
    match unit:
        case "minute" | "min" | "hour" | "hr":
            length = Length(minutes=_UNITS[unit] * halves // 2)
        case "day":
            length = Length(days=halves // 2, minutes=12 * 60 * (halves % 2))
        case "week":
            length = Length(days=7 * halves // 2)
        case "fortnight":
            length = Length(days=7 * halves)
        case "month":
            length = Length(months=halves // 2, days=15 * (halves % 2))
        case _:
            length = Length(months=6 * halves)
    before, behind = found["before"] or "", found["behind"] or ""
    if before.startswith("in"):
        role: _Role = "later"
    elif before.startswith("within"):
        role = "within"
    else:
        role = _ROLES.get(behind, "plain")
    return Lasting(length, role, is_of_day=behind == "before")


def _every_weekdays(found: re.Match[str], _: dt.date) -> Every:
    days = {
        ALL_WEEKDAYS[each.removesuffix("s") if each not in ALL_WEEKDAYS else each]
        for each in re.findall(r"[a-z]+", found["days"])
        if each not in ("and", "or")
    }
    return Every("WEEKLY", interval=2 if found["other"] else 1, weekdays=tuple(sorted(days)))


def _every(found: re.Match[str], _: dt.date) -> Every:
    count = found["count"]
    interval = 1 if not count else 2 if count in ("other", "second") else number(count)
    return Every(_FREQS[found["unit"]], interval)  # type: ignore[arg-type]


_LIST = rf"(?P<days>{_WEEKDAYS}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*|/){_WEEKDAYS})*)"
FORMS: tuple[Form, ...] = (
    form(r"(?:(?<=once )|(?<=twice )|(?<=times ))a (?P<count>)(?P<unit>day|week|month|year)\b", _every),
    form(
        r"(?:(?<=minutes )|(?<=minute )|(?<=hours )|(?<=hour ))a\s+(?P<count>)(?P<unit>day|week|month)\b",
        _every,
    ),
    form(
        r"(?:\b(?:in|during) the |\bat (?=night))?\b(?P<name>morning|afternoon|evening|night)\b",
        lambda found, _: Half(_HALVES[found["name"]]),
    ),
    form(rf"(?:\bat\s+)?(?<![\d:.])\b{_H}(?::(?P<minute>\d{{2}}))?\s*{_HALF}", _clock),
    form(rf"(?:\bat\s+)?(?<![\d:.])\b{_H}:(?P<minute>\d{{2}})\b(?![:\d])", _clock),
    form(
        rf"\b(?:at|around)\s+{_WORD_H}\b(?![.:]\d|%|\s*(?:st|nd|rd|th)\b|\s+(?:percent|degrees|dollars|euros|people|places|days|weeks|hours|a\b))",
        lambda found, day: _clock(found, day) if found["hour"] not in ("a", "an") else None,
    ),
    form(rf"\b{_WORD_H}\s+o'?clock\b", _clock),
    form(
        rf"\b(?:at\s+)?(?P<minutes>half|(?:a\s+)?quarter|\d{{1,2}}|five|ten|twenty)\s+(?P<way>past|to)\s+{_WORD_H}\b(?!:)(?:\s*{_HALF_MARK})?",
        _told,
    ),
    form(r"\b(?:at\s+)?(?:noon|midday)\b", lambda *_: Clock(12, is_clear=True)),
    form(r"\b(?:at\s+)?midnight\b", lambda *_: Clock(24, is_clear=True)),
    form(
        rf"\b(?:from\s+|between\s+)?(?<![\d:.]){_H}(?::(?P<minute>\d{{2}}))?\s*(?:(?P<half1>[ap])\.?m\.?)?\s*(?:-|–|to|until|and)\s*"
        rf"(?P<hour2>\d{{1,2}})(?::(?P<minute2>\d{{2}}))?\s*{_HALF}",
        _clocks,
    ),
    form(
        rf"\b(?:(?P<before>within the next|in the next|within|in|for)\s+)?"
        rf"(?P<count>half an?|{_N}(?=[\s-]))[\s-]+(?P<more>and a half\s+)?{_UNIT}(?:\s+(?P<tail>and a half))?"
        rf"(?:'?\s+time)?(?:\s+(?P<behind>{any_of(_ROLES)})\b)?",
        lambda found, day: _with_tail(found, day),
    ),
    form(rf"\b(?:on\s+)?(?:every|each)\s+(?P<other>other\s+|second\s+)?{_LIST}", _every_weekdays),
    form(rf"\b(?:on\s+)?(?P<other>){_LIST.replace('s?', 's')}", _every_weekdays),
    form(
        rf"\b(?:every|each|per)\s+(?:(?P<count>other|second|{_N})\s+)?(?P<unit>hour|day|week|month|year)s?\b",
        _every,
    ),
    form(any_of(_ADVERBS).join((r"\b(?:", r")\b")), lambda found, _: Every(_ADVERBS[found[0]])),  # type: ignore[arg-type]
    form(
        r"\b(?:on\s+|every\s+)?(?:weekdays?|workdays?|working days?)\b",
        lambda *_: Every("WEEKLY", weekdays=(0, 1, 2, 3, 4)),
    ),
    form(r"\b(?:on\s+)?(?:every weekend|weekends)\b", lambda *_: Every("WEEKLY", weekdays=(5, 6))),
    form(
        r"\b(?:on\s+)?the (?P<day>\d{1,2})(?:st|nd|rd|th)(?: day)? of (?:every|each) month\b",
        lambda found, _: Every("MONTHLY", month_days=(int(found["day"]),)),
    ),
    form(
        r"\b(?:on\s+)?(?:every (?P<nth>first|third|fourth|last) (?P<weekday>"
        + _FULL
        + r")\b(?: of (?:the|each|every) month)?)",
        _nth_weekday,
    ),
    form(
        r"\b(?:on\s+)?the (?P<nth>first|second|third|fourth|last) (?P<weekday>"
        + _FULL
        + r") of (?:each|every) month\b",
        _nth_weekday,
    ),
    form(r"\b(?:on\s+)?the last day of (?:every|each) month\b", lambda *_: Every("MONTHLY", month_days=(-1,))),
)


def _with_tail(found: re.Match[str], day: dt.date) -> Part | None:
    """ "An hour and a half": the half may come behind."""
    part = _lasting(found, day)
    if part is None or not isinstance(part, Lasting) or not found["tail"]:
        return part
    unit = _UNITS.get(found["unit"])
    more = (
        Length(minutes=unit // 2)
        if unit is not None
        else Length(days={"week": 3, "month": 15}.get(found["unit"], 0))
    )
    return Lasting(part.length + more, part.role, part.is_of_day)
