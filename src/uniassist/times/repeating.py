"""What comes again: its RFC 5545 rule, and the first time that comes."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from dateutil.rrule import rrulestr

from uniassist.times.model import Repeat, What
from uniassist.times.parts import Every, OnDays

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def repeat(
    every: Every, days: OnDays | None, last: OnDays | None, at: dt.time | None, now: dt.datetime
) -> What | None:
    """None where the two say no repeat together ("每天" and "3月5日").

    `days`, `last`: the days named beside it, and where they are the first of some, the last one.
    """
    rule = _rule(every, days, last)
    if rule is None:
        return None
    if every.freq == "HOURLY":
        soon = (now.astimezone(dt.UTC) + dt.timedelta(hours=every.interval)).astimezone(now.tzinfo)
        return Repeat(rule, soon.date(), soon.time().replace(second=0, microsecond=0))
    first = first_of(rule, at, now)
    return Repeat(rule, first.date(), at) if first is not None else None


def first_of(rule: str, at: dt.time | None, now: dt.datetime) -> dt.datetime | None:
    """The first wall clock of the rule that isn't over, without a zone. None: there is none within its calendar."""
    today = dt.datetime.combine(now.date(), at or dt.time())
    wall = now.replace(tzinfo=None, second=0, microsecond=0) if at is not None else today
    found: dt.datetime | None = rrulestr(f"RRULE:{rule}", dtstart=today).after(wall, inc=at is None)
    return found


def _rule(every: Every, days: OnDays | None, last: OnDays | None) -> str | None:
    weekdays, month_days, month = every.weekdays, every.month_days, None
    if days is not None:
        if days.weekday is not None and every.freq in ("WEEKLY", "DAILY"):
            weekdays = _from_to(days.weekday, last.weekday if last is not None else None)
            every = replace(every, freq="WEEKLY")
        elif days.month_day is not None and every.freq in ("MONTHLY", "YEARLY"):
            month_days, month = (days.month_day,), days.month
        elif every.freq == "YEARLY" and days.is_one:
            month, month_days = days.first.month, (days.first.day,)
        elif not (every.freq == "DAILY" or days.first > days.last):
            return None
    parts = [f"FREQ={every.freq}"]
    if every.interval > 1:
        parts.append(f"INTERVAL={every.interval}")
    if month is not None:
        parts.append(f"BYMONTH={month}")
    if month_days:
        parts.append("BYMONTHDAY=" + ",".join(map(str, month_days)))
    if weekdays:
        parts.append("BYDAY=" + ",".join(f"{every.nth or ''}{_WEEKDAYS[each]}" for each in weekdays))
    return ";".join(parts)


def _from_to(first: int, last: int | None) -> tuple[int, ...]:
    if last is None:
        return (first,)
    return tuple(sorted((first + step) % 7 for step in range((last - first) % 7 + 1)))
