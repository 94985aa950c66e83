"""The forms of Chinese times of day, lengths and repeats, over simplified text."""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal

from uniassist.times.chinese import WEEK, WEEKDAY, WEEKDAYS, N
from uniassist.times.model import Length
from uniassist.times.numerals import number
from uniassist.times.parts import Clock, Every, Form, Half, HalfOfDay, Lasting, Part, form

_HALVES: dict[str, HalfOfDay] = {
    "凌晨": "small hours",
    "清晨": "morning",
    "早晨": "morning",
    "早上": "morning",
    "上午": "morning",
    "早": "morning",
    "中午": "noon",
    "下午": "afternoon",
    "傍晚": "evening",
    "晚上": "evening",
    "夜里": "evening",
    "晚": "evening",
}
_H = r"(?P<hour>\d{1,2}|二十[一二三四]?|十[一二三四五六七八九]?|[零一两二三四五六七八九])"
_MINUTES = {None: 0, "": 0, "整": 0, "钟": 0, "半": 30, "一刻": 15, "三刻": 45}
# "三点建议" are three suggestions; "一点" alone is a little.
_NO_CLOCK = r"(?![建意要原想思心体启希疑线半个]|理由|问题|看法|说明|感)"
_UNIT = (
    r"(?:分钟|刻钟|个?小时|个?钟头|天|日(?=[游内后之])|周(?![一二三四五六日天末年])"
    r"|个?(?:星期|礼拜)(?![一二三四五六日天])|个月|年)"
)
_COUNT = rf"(?:半|(?<![\d.]){N}|(?<![\d.])\d{{1,3}}\.5)"
_LENGTH = (
    rf"(?P<count>{_COUNT})\s*(?P<and>个半)?"
    rf"(?P<unit>{_UNIT}|(?<=半)个月|(?<=个半)(?:月|小时|钟头|星期|礼拜))(?P<half>半(?!天|个))?"
)
_Role = Literal["plain", "later", "within", "ahead", "ago"]
_ROLES: dict[str, _Role] = {"后": "later", "内": "within", "前": "ahead"}


def _half(found: re.Match[str], _: dt.date) -> Half:
    return Half(_HALVES[found[0]])


def _clock(found: re.Match[str], _: dt.date) -> Clock | None:
    past = found["past"]
    minute = _MINUTES[past] if past in _MINUTES else number((past or "").removesuffix("分"))
    if found["short"]:
        minute = -_MINUTES[found["short"]] if found["short"] in _MINUTES else -number(found["short"])
    total = number(found["hour"]) * 60 + minute
    if not 0 <= total <= 24 * 60 or minute > 59:
        return None
    is_weak = found["hour"] in ("一", "两") and not past and not found["short"]
    return Clock(total // 60, total % 60, is_clear=total >= 13 * 60 or found["hour"] == "零", is_weak=is_weak)


def colon_clock(found: re.Match[str], _: dt.date) -> Clock | None:
    hour, minute = int(found[1]), int(found[2])
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        return None
    return Clock(hour, minute, is_clear=hour >= 13 or found[1].startswith("0"))


def length_of(count: str, unit: str, *, has_half: bool) -> Length:
    """`has_half`: half a unit more. Half a month counts as 15 days, half a day as 12 hours."""
    halves = 1 if count == "半" else 2 * int(count[:-2]) + 1 if count.endswith(".5") else 2 * number(count)
    halves += has_half
    match unit.removeprefix("个"):
        case "分钟":
            return Length(minutes=halves // 2)
        case "刻钟":
            return Length(minutes=15 * halves // 2)
        case "小时" | "钟头":
            return Length(minutes=30 * halves)
        case "天" | "日":
            return Length(days=halves // 2, minutes=12 * 60 * (halves % 2))
        case "月":
            return Length(months=halves // 2, days=15 * (halves % 2))
        case "年":
            return Length(months=6 * halves)
    return Length(days=7 * halves // 2)


def _lasting(found: re.Match[str], _: dt.date) -> Part | None:
    if found["count"] == "半" and found["unit"] in ("分钟", "刻钟"):
        return None
    length = length_of(found["count"], found["unit"], has_half=bool(found["and"] or found["half"]))
    before, behind = found["before"] or "", found["behind"] or ""
    role: _Role | None = next((role for sign, role in _ROLES.items() if sign in behind), None)
    if before in ("提前", "前"):
        role = "ahead"
    elif before.endswith("过"):
        role = "later"
    return Lasting(length, role or "plain", is_of_day=before == "前")


def _every_weekday(found: re.Match[str], _: dt.date) -> Every:
    days = tuple(sorted({WEEKDAYS[each] for each in found["days"] if each in WEEKDAYS}))
    return Every("WEEKLY", weekdays=days)


def _every(found: re.Match[str], _: dt.date) -> Every:
    count = number(found["count"]) if found["count"] else 1
    match found["unit"].removeprefix("个"):
        case "小时":
            return Every("HOURLY", count)
        case "天" | "日":
            return Every("DAILY", count)
        case "月":
            return Every("MONTHLY", count)
        case "年":
            return Every("YEARLY", count)
    return Every("WEEKLY", count)


def _every_month(found: re.Match[str], _: dt.date) -> Every:
    days = [number(each) for each in re.findall(r"[\d一二三四五六七八九十]+", found["days"] or "")]
    return Every("MONTHLY", month_days=tuple(days) or (-1,))


def _nth_weekday(found: re.Match[str], _: dt.date) -> Every:
    nth = -1 if found["nth"] == "最后一" else number(found["nth"].removeprefix("第"))
    return Every("MONTHLY", weekdays=(WEEKDAYS[found["weekday"]],), nth=nth)


_DAY = r"(?:\d{1,2}|[一二三四五六七八九十]{1,3})"
_EACH_DAY = rf"{WEEKDAY}(?![点时:])"
FORMS: tuple[Form, ...] = (
    form("|".join(sorted(_HALVES, key=len, reverse=True)), _half),
    form(r"半夜|午夜", lambda *_: Clock(24, is_clear=True)),
    form(
        rf"(?<![\d.:第])(?:差(?P<short>一刻|\d{{1,2}}(?=分)|[一二三四五六七八九十]{{1,3}}(?=分))分?)?"
        rf"{_H}\s*[点时](?!间|候|代|期|常|而|刻)"
        r"(?P<past>半|一刻|三刻|整|钟|\d{1,2}分?(?!\d)|[零二三四五]?十[一二三四五六七八九]?分?"
        rf"|零?[一二三四五六七八九]分|零[一二三四五六七八九]|(?:{_NO_CLOCK}))",
        _clock,
    ),
    form(r"(?<![\d:.])(\d{1,2})\s*:\s*(\d{2})(?![\d:])", colon_clock),
    form(
        rf"(?:每|逢)个?{WEEK}的?(?P<days>{_EACH_DAY}(?:[、和,，及]?(?:{WEEK})?{_EACH_DAY})*)",
        _every_weekday,
    ),
    form(
        rf"每隔?(?P<count>{N})?\s*(?P<unit>个?小时|天|日|周|个?星期|个?礼拜|个?月|年)(?![次末])(?!{WEEKDAY}(?![点时次:]))",
        _every,
    ),
    form(r"每(?P<count>)(?P<unit>周|月|年)(?=次|[一二两三四五]次)", _every),
    form(r"天天", lambda *_: Every("DAILY")),
    form(r"每早", lambda *_: Every("DAILY", half="morning")),
    form(r"每晚", lambda *_: Every("DAILY", half="evening")),
    form(r"(?:每个?)?工作日", lambda *_: Every("WEEKLY", weekdays=(0, 1, 2, 3, 4))),
    form(r"每个?周末", lambda *_: Every("WEEKLY", weekdays=(5, 6))),
    form(
        rf"每个?月的?(?:(?P<days>{_DAY}\s*[号日]?(?:[和、,]\s*{_DAY}\s*[号日]?)*(?<=[号日]))|最后一天|月?底)",
        _every_month,
    ),
    form(rf"每个?月的?(?P<nth>第[一二三四五]|最后一)个?{WEEK}(?P<weekday>{WEEKDAY})", _nth_weekday),
    form(
        r"(?<![第\d])一(?P<unit>周|个?星期|个?礼拜|个月|年)(?P<count>)(?=(?:[一二两三四五六七八九十]|\d{1,2})次)",
        _every,
    ),
    form(rf"(?<![第\d])一(?P<unit>天)(?P<count>)(?={N}个?(?:小时|钟头|分钟))", _every),
    form(
        rf"(?P<before>提前|(?<![之以])前|再?过)?(?<!第){_LENGTH}"
        r"(?P<behind>之?后(?![天年])|以后|过后|之?内|以内|之前|以前|前)?",
        _lasting,
    ),
)
