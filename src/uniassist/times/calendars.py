"""Calendar arithmetic, and the days that have names. Every function raises ValueError or OverflowError where there
is no such day."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable

import chinese_calendar
from borax.calendars.lunardate import LunarDate, TermUtils
from dateutil.easter import easter

MONDAY = 0
_LAST_LUNAR_YEAR = 2099


def months_after(day: dt.date, months: int, on: int | None = None) -> dt.date:
    """`on` of a later month; None: the same day, or the month's last where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(day.day, last) if on is None else on)


def month_end(day: dt.date, months: int = 0) -> dt.date:
    first = months_after(day.replace(day=1), months)
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def monday(day: dt.date, weeks: int = 0) -> dt.date:
    """Of the week so many weeks later. A week begins on Monday."""
    return day - dt.timedelta(days=day.weekday()) + dt.timedelta(weeks=weeks)


def next_weekday(today: dt.date, weekday: int) -> dt.date:
    """Today counts."""
    return today + dt.timedelta(days=(weekday - today.weekday()) % 7)


def coming(today: dt.date, of_year: Callable[[int], dt.date], year: int | None = None) -> dt.date:
    """In that year; None: the next one that comes, today's as well."""
    if year is not None:
        return of_year(year)
    this_year = of_year(today.year)
    return this_year if this_year >= today else of_year(today.year + 1)


def coming_date(today: dt.date, month: int, day: int, year: int | None = None) -> dt.date:
    dt.date(2024, month, day)  # refuses what no year has
    if year is not None or (month, day) != (2, 29):
        return coming(today, lambda of: dt.date(of, month, day), year)
    leap = next(
        of for of in range(today.year, today.year + 9) if calendar.isleap(of) and dt.date(of, 2, 29) >= today
    )
    return dt.date(leap, 2, 29)


def lunar(year: int, month: int, day: int) -> dt.date:
    """The day of the Chinese calendar. Its twelfth month is of the year that ends with it."""
    if not (1900 <= year <= _LAST_LUNAR_YEAR and 1 <= month <= 12 and 1 <= day <= 30):
        raise ValueError(f"lunar {year}-{month}-{day}: expected a day of 1900 to {_LAST_LUNAR_YEAR}")
    day_of: dt.date = LunarDate(year, month, day).to_solar_date()
    return day_of


def coming_lunar(today: dt.date, month: int, day: int) -> dt.date:
    years = range(today.year - 1, today.year + 2)
    return next(found for year in years if (found := lunar(year, month, day)) >= today)


def _eve(year: int) -> dt.date:
    return lunar(year, 1, 1) - dt.timedelta(days=1)


def _term(name: str) -> Callable[[int], dt.date]:
    """A solar term of the year, such as 清明."""

    def of(year: int) -> dt.date:
        day: dt.date = TermUtils.nth_term_day(year, term_name=name)
        return day

    return of


def _nth(month: int, weekday: int, count: int) -> Callable[[int], dt.date]:
    """The so-manieth weekday of a month."""
    return lambda year: next_weekday(dt.date(year, month, 1), weekday) + dt.timedelta(weeks=count - 1)


def _fixed(month: int, day: int) -> Callable[[int], dt.date]:
    return lambda year: dt.date(year, month, day)


def _moon(month: int, day: int) -> Callable[[int], dt.date]:
    return lambda year: lunar(year, month, day)


FEASTS: dict[str, Callable[[int], dt.date]] = {
    "元旦": _fixed(1, 1),
    "情人节": _fixed(2, 14),
    "妇女节": _fixed(3, 8),
    "愚人节": _fixed(4, 1),
    "劳动节": _fixed(5, 1),
    "五一": _fixed(5, 1),
    "儿童节": _fixed(6, 1),
    "六一": _fixed(6, 1),
    "教师节": _fixed(9, 10),
    "国庆": _fixed(10, 1),
    "十一": _fixed(10, 1),
    "双十一": _fixed(11, 11),
    "平安夜": _fixed(12, 24),
    "圣诞": _fixed(12, 25),
    "跨年夜": _fixed(12, 31),
    "春节": _moon(1, 1),
    "大年初一": _moon(1, 1),
    "除夕": _eve,
    "大年三十": _eve,
    "年三十": _eve,
    "元宵": _moon(1, 15),
    "端午": _moon(5, 5),
    "七夕": _moon(7, 7),
    "中秋": _moon(8, 15),
    "重阳": _moon(9, 9),
    "腊八": lambda year: lunar(year - 1, 12, 8),
    "小年": lambda year: lunar(year - 1, 12, 23),
    "清明": _term("清明"),
    "冬至": _term("冬至"),
    "母亲节": _nth(5, 6, 2),
    "父亲节": _nth(6, 6, 3),
    "感恩节": _nth(11, 3, 4),
    "复活节": easter,
    "new year's eve": _fixed(12, 31),
    "new years eve": _fixed(12, 31),
    "new year's day": _fixed(1, 1),
    "new year's": _fixed(1, 1),
    "new year": _fixed(1, 1),
    "valentine's day": _fixed(2, 14),
    "valentine's": _fixed(2, 14),
    "valentines day": _fixed(2, 14),
    "st patrick's day": _fixed(3, 17),
    "good friday": lambda year: easter(year) - dt.timedelta(days=2),
    "easter monday": lambda year: easter(year) + dt.timedelta(days=1),
    "easter": easter,
    "mother's day": _nth(5, 6, 2),
    "mothers day": _nth(5, 6, 2),
    "father's day": _nth(6, 6, 3),
    "fathers day": _nth(6, 6, 3),
    "independence day": _fixed(7, 4),
    "the fourth of july": _fixed(7, 4),
    "labor day": _nth(9, 0, 1),
    "halloween": _fixed(10, 31),
    "thanksgiving": _nth(11, 3, 4),
    "black friday": lambda year: _nth(11, 3, 4)(year) + dt.timedelta(days=1),
    "christmas eve": _fixed(12, 24),
    "christmas": _fixed(12, 25),
    "xmas": _fixed(12, 25),
    "boxing day": _fixed(12, 26),
    "chinese new year": _moon(1, 1),
    "lunar new year": _moon(1, 1),
    "spring festival": _moon(1, 1),
    "dragon boat festival": _moon(5, 5),
    "mid-autumn festival": _moon(8, 15),
    "national day": _fixed(10, 1),
}
# The statutory breaks as they usually are, while a year's decree isn't known: days before the feast, after it.
_USUAL_BREAKS = {"国庆": (0, 6), "十一": (0, 6), "五一": (0, 4), "劳动节": (0, 4), "春节": (1, 6), "元旦": (0, 2)}


def holiday(name: str, feast: dt.date) -> tuple[dt.date, dt.date]:
    """The days off around a Chinese feast: as decreed, where the library has the year, else as usual."""
    before, after = _USUAL_BREAKS.get(name, (0, 2))
    first, last = feast - dt.timedelta(days=before), feast + dt.timedelta(days=after)
    try:
        while chinese_calendar.is_holiday(last + dt.timedelta(days=1)) and (last - feast).days < 10:
            last += dt.timedelta(days=1)
        while not chinese_calendar.is_holiday(last) and last > feast:
            last -= dt.timedelta(days=1)
    except NotImplementedError:  # its way to say that it doesn't have the year
        return first, feast + dt.timedelta(days=after)
    return first, last
