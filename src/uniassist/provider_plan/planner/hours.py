"""How much time a person has for something: "每天两小时", "only on weekends", "5 hours a week"."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from itertools import pairwise

from uniassist.contracts.scripts import simplified
from uniassist.provider_plan.planner.changing import Hours
from uniassist.provider_plan.planner.model import LEAST_WEEKLY_MINUTES
from uniassist.times import Length, Reading, Repeat, read

_NAMES = {name: at for at, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
_WEEKEND = re.compile(
    r"(?:只|就|仅)(?:有|能)?(?:在)?周末|周末才|只有?周六(?:和|、)?周日"
    r"|\bonly (?:on |at |the )*weekends?"
    r"|\bweekends? only|\bonly free (?:on|at) (?:the )?weekend"
)
_WORKDAYS = re.compile(
    r"(?:只|就|仅)(?:有|能)?(?:在)?(?:工作日|平时)|(?:工作日|平时)才|周末(?:不|没|要休息|休息)"
    r"|\bonly (?:on )?(?:weekdays|weeknights)"
    r"|\b(?:weekdays|weeknights) only|\bno weekends|\bnot on weekends"
)
_WEEKEND_DAYS, _WORKING_DAYS = frozenset({5, 6}), frozenset(range(5))
_RUN_TOGETHER = re.compile(
    r"(?P<each>每个?(?:天|日|周|週|星期|礼拜|禮拜|晚|早)(?:上)?)"
    r"(?=[一二两兩三四五六七八九十半]+[个個]?(?:半)?(?:小时|小時|钟头|鐘頭|分钟|分鐘))"
)
# What a length of less than a day is told by; wide letters are read as well.
_OF_HOURS = re.compile(r"[分刻钟时半]|\.5|(?<![a-z])(?:min|hr)|hour|half|[\uff01-\uff5e]")
_MOST_GAP = 12  # characters between "每天" and "两小时"
_MOST_WEEKLY = 7 * 24 * 60


def hours_in(text: str, readings: Sequence[Reading]) -> Hours | None:
    """What the text says of it, with what was read of times in it; None where it says nothing."""
    weekdays = _weekdays(simplified(text).lower())
    for one, other in pairwise(readings):
        pair = _pair(one, other)
        if pair is None or other.begin - one.end > _MOST_GAP:
            continue
        repeat, length = pair
        named = re.search(r"BYDAY=([A-Z,]+)", repeat.rule)
        days = frozenset(_NAMES[each] for each in named[1].split(",")) if named else None
        is_weekend = days == _WEEKEND_DAYS
        weeks = repeat.rule.startswith("FREQ=WEEKLY") and (days is None or is_weekend)
        each_week = 1 if weeks else len(days or weekdays or range(7))
        minutes = min(max(length.minutes * each_week, LEAST_WEEKLY_MINUTES), _MOST_WEEKLY)
        return Hours(minutes, days or weekdays)
    return Hours(weekdays=weekdays) if weekdays is not None else None


def spaced(text: str) -> str:
    """ "每周五小时" is five hours a week and no Friday, "每天一小时" has no "天一": a blank tells them apart."""
    return _RUN_TOGETHER.sub(r"\g<each> ", text)


def time_words(text: str, now: dt.datetime) -> str | None:
    """The words that say how much time there is; None where none do."""
    apart = spaced(text)
    # Most clauses name no such length: their times needn't be read to know that they are of no use here.
    readings = read(apart, now) if _OF_HOURS.search(simplified(apart).lower()) is not None else ()
    if hours_in(apart, readings) is None:
        return None
    for one, other in pairwise(readings):
        if _pair(one, other) is not None and other.begin - one.end <= _MOST_GAP:
            words = apart[one.begin : other.end].strip()
            return words if words in text else words.replace(" ", "")
    return text.strip()


def _pair(one: Reading, other: Reading) -> tuple[Repeat, Length] | None:
    for repeat, length in ((one.what, other.what), (other.what, one.what)):
        if not (isinstance(repeat, Repeat) and isinstance(length, Length)):
            continue
        if length.minutes > 0 and re.match(r"FREQ=(?:DAILY|WEEKLY)(?!;INTERVAL)", repeat.rule):
            return repeat, length
    return None


def _weekdays(plain: str) -> frozenset[int] | None:
    if _WEEKEND.search(plain):
        return _WEEKEND_DAYS
    return _WORKING_DAYS if _WORKDAYS.search(plain) else None
