"""The forms of Chinese days, ranges and markers, over simplified text."""

from __future__ import annotations

import datetime as dt
import re

from uniassist.times.calendars import (
    FEASTS,
    coming,
    coming_date,
    coming_lunar,
    holiday,
    monday,
    month_end,
    months_after,
    next_weekday,
)
from uniassist.times.numerals import number
from uniassist.times.parts import Bounding, Form, HalfOfDay, OnDays, Until, form, one

WEEK = r"(?:周|星期|礼拜)"
WEEKDAYS = {each: at for at, each in enumerate("一二三四五六日")} | {"天": 6}
# A weekday's character, and not the number of what comes: "周三点名" is no Wednesday's, "每周一次" no Monday's.
WEEKDAY = r"[一二三四五六日天](?![次个]|(?<=日)常|(?<=天)天)"
N = r"(?:\d{1,4}|[一二两三四五六七八九十百]{1,5})"
D = r"(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3}|廿[一二三四五六七八九]?)"
M = r"(?P<month>\d{1,2}|十[一二]?|[一二三四五六七八九])"
_NO_NUMBER_BEFORE = r"(?<![\d一二三四五六七八九十第.])"
_YEAR = r"(?:(?P<year>今年|明年|后年)的?)?"
_YEARS = {"今年": 0, "明年": 1, "后年": 2}
_NAMED: dict[str, tuple[int, HalfOfDay | None]] = {
    "前天": (-2, None),
    "昨天": (-1, None),
    "昨晚": (-1, "evening"),
    "今天": (0, None),
    "今日": (0, None),
    "今早": (0, "morning"),
    "今晚": (0, "evening"),
    "明天": (1, None),
    "明日": (1, None),
    "明早": (1, "morning"),
    "明晚": (1, "evening"),
    "大后天": (3, None),
    "后天": (2, None),
}
_CHINESE_FEASTS = [name for name in FEASTS if not name.isascii()]
_NAMES = "|".join(sorted((each for each in _CHINESE_FEASTS if each != "十一"), key=len, reverse=True))
_LUNAR_MONTHS = {"正": 1, "冬": 11, "腊": 12}


def _year(found: re.Match[str], today: dt.date) -> int | None:
    named = found["year"]
    return today.year + _YEARS[named] if named else None


def _full(found: re.Match[str], _: dt.date) -> OnDays:
    return one(dt.date(number(found["year"]), number(found["month"]), number(found["day"])))


def _month_day(found: re.Match[str], today: dt.date) -> OnDays:
    month, day = number(found["month"]), number(found["day"])
    that = coming_date(today, month, day, _year(found, today))
    return OnDays(that, that, month=month, month_day=day)


def _of_month(found: re.Match[str], today: dt.date) -> OnDays:
    return one(months_after(today, found["which"].count("下"), number(found["day"])))


def bare_day(today: dt.date, day: int) -> OnDays:
    """The next day of that number that comes: a month that doesn't have it is left out."""
    for months in range(4):
        try:
            that = months_after(today, months, day)
        except ValueError:
            continue
        if that >= today:
            return OnDays(that, that, month_day=day)
    raise ValueError(f"{day}: expected a day of a month")


def _edge_of_month(found: re.Match[str], today: dt.date) -> OnDays:
    if found["month"]:
        first = coming_month(today, number(found["month"]))
    else:
        first = months_after(today.replace(day=1), (found["which"] or "").count("下"))
    edges = {"初": first, "中": first.replace(day=15)}
    return one(edges.get(found["edge"], month_end(first)))


def coming_month(today: dt.date, month: int) -> dt.date:
    """The first day of the month of that number that isn't over."""
    return dt.date(today.year + (month < today.month), month, 1)


def _week_day(found: re.Match[str], today: dt.date) -> OnDays:
    which = found["which"]
    weeks = -which.count("上") if "上" in which else which.count("下")
    return one(monday(today, weeks) + dt.timedelta(days=WEEKDAYS[found["weekday"]]))


def _bare_weekday(found: re.Match[str], today: dt.date) -> OnDays:
    weekday = WEEKDAYS[found["weekday"]]
    day = next_weekday(today, weekday)
    return OnDays(day, day, weekday=weekday)


def _weekend(found: re.Match[str], today: dt.date) -> OnDays:
    saturday = monday(today, (found["which"] or "").count("下")) + dt.timedelta(days=5)
    return OnDays(max(saturday, today), saturday + dt.timedelta(days=1))


def _week(found: re.Match[str], today: dt.date) -> OnDays:
    begins = monday(today, found["which"].count("下"))
    return OnDays(max(begins, today), begins + dt.timedelta(days=6))


def _month(found: re.Match[str], today: dt.date) -> OnDays:
    if found["month"]:
        first = coming_month(today, number(found["month"]))
    else:
        first = months_after(today.replace(day=1), found["which"].count("下"))
    return OnDays(max(first, today), month_end(first))


def _whole_year(found: re.Match[str], today: dt.date) -> OnDays:
    year = today.year + _YEARS[found["year"]]
    return OnDays(max(dt.date(year, 1, 1), today), dt.date(year, 12, 31))


def _edge_of_year(found: re.Match[str], today: dt.date) -> OnDays:
    year = _year(found, today) or today.year
    return one(dt.date(year + (not found["year"]), 1, 1) if found["edge"] == "初" else dt.date(year, 12, 31))


def _named(found: re.Match[str], today: dt.date) -> OnDays:
    days, half = _NAMED[found[0]]
    return one(today + dt.timedelta(days=days), half)


def _feast(found: re.Match[str], today: dt.date) -> OnDays:
    name = found["feast"]
    day = coming(today, FEASTS[name], _year(found, today))
    return OnDays(*holiday(name, day)) if found["off"] else one(day)


def _lunar(found: re.Match[str], today: dt.date) -> OnDays:
    month = _LUNAR_MONTHS.get(found["month"]) or number(found["month"])
    return one(coming_lunar(today, month, number(found["day"].removeprefix("初"))))


def _dotted(found: re.Match[str], today: dt.date) -> OnDays:
    first = coming_date(today, int(found[1]), int(found[2]))
    return OnDays(first, coming_date(first, int(found[3]), int(found[4])))


FORMS: tuple[Form, ...] = (
    form(
        r"(?<![\d〇零一二三四五六七八九])(?P<year>\d{4}|[〇零一二三四五六七八九]{4})\s*[-/.年]\s*"
        r"(?P<month>\d{1,2}|[一二三四五六七八九十]{1,2})\s*[-/.月]\s*"
        r"(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3})(?!\d)\s*[日号]?",
        _full,
    ),
    form(
        r"(?<!\d)(?P<year>20\d{2})(?P<month>[01]\d)(?P<day>[0-3]\d)(?!\d)",
        _full,
    ),
    form(rf"{_NO_NUMBER_BEFORE}{_YEAR}{M}\s*月\s*{D}(?:\s*[日号]|(?![\d日号个天月年]))", _month_day),
    form(rf"(?P<which>这个?|本|下+个?)月的?{D}\s*[号日]", _of_month),
    form(
        r"(?<![\d.月一二三四五六七八九十第])(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3})\s*号(?![线楼门馆院店车厅台桌房码机铺仓])",
        lambda found, today: bare_day(today, number(found["day"])),
    ),
    form(r"(?<![\d.月])(?P<day>\d{1,2})日(?![游元内后])", lambda found, today: bare_day(today, int(found["day"]))),
    form(rf"(?:(?P<which>这个?|本|下+个?)|(?<!\d){M})?月(?P<edge>底|末|初|中(?=旬))旬?", _edge_of_month),
    form(rf"{_YEAR}年?(?P<edge>年底|年末|(?<=年)底|年初)(?!总|奖|终|考)", _edge_of_year),
    form(rf"(?P<which>上+个?|这个?|本|下+个?){WEEK}的?(?P<weekday>{WEEKDAY})", _week_day),
    form(rf"(?<![每上下这本逢个一二两三四五六七八九十\d]){WEEK}(?P<weekday>{WEEKDAY})", _bare_weekday),
    form(r"(?<!每)(?<!每个)(?P<which>这个?|本|下+个?)?周末", _weekend),
    form(rf"(?P<which>这个?|本|下+个?){WEEK}(?!末|[一二三四五六日天](?![次个天]))", _week),
    form(rf"{_NO_NUMBER_BEFORE}(?:(?P<which>这个?|本|下+个?)|{M})月份?(?![饼亮球光薪租经嫂子季\d底末初])", _month),
    form(r"(?P<year>今年|明年|后年)", _whole_year),
    form("|".join(sorted(_NAMED, key=len, reverse=True)), _named),
    form(
        rf"{_YEAR}(?P<feast>{_NAMES}|(?<![\d一二三四五六七八九十双])十一(?=假期|长假|黄金周|期间|去|出|回|前|之前))"
        r"(?:节(?!目|约|奏|省))?(?P<off>的?(?:小?长?假期?|黄金周|期间))?",
        _feast,
    ),
    form(
        r"(?:农历|阴历)(?P<month>正|冬|腊|\d{1,2}|十[一二]?|[一二三四五六七八九])月"
        r"(?P<day>初?(?:[一二三四五六七八九十]{1,3}|廿[一二三四五六七八九]?|\d{1,2}))日?",
        _lunar,
    ),
    form(r"(?P<month>[正冬腊])月(?P<day>初?(?:[一二三四五六七八九十]{1,3}|廿[一二三四五六七八九]?))", _lunar),
    form(r"(?P<month>[二三四五六七八九十])月(?P<day>初[一二三四五六七八九十])", _lunar),
    form(
        r"(?<![\d.])(\d{1,2})[./](\d{1,2})\s*[-~到至]\s*(\d{1,2})[./](\d{1,2})(?![\d.])(?!\s*[元万寸%米公分倍年])",
        _dotted,
    ),
    form(r"[到至]|(?<=\d)\s*[-~—–]\s*(?=\d)", lambda *_: Until()),
    form(
        r"(?:之前|以前|前(?![往台面后去期进方提半一二两三\d]))",
        lambda *_: Bounding("by", is_behind=True),
    ),
    form(r"截止到?|截至|最晚|最迟|不晚于|不迟于|赶在", lambda *_: Bounding("by")),
    form(r"从(?=\S)", lambda *_: Bounding("from")),
    form(r"开始|起(?![床来飞])", lambda *_: Bounding("from", is_behind=True)),
)
