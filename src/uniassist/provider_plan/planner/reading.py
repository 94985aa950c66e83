"""The goal of what a person said: the form's fields, and the times in their words."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from uniassist.contracts.scripts import simplified
from uniassist.provider_plan.planner.changing import Hours
from uniassist.provider_plan.planner.hours import hours_in, spaced
from uniassist.provider_plan.planner.kinds import kind_of, kinds
from uniassist.provider_plan.planner.model import EVERY_DAY, Goal
from uniassist.provider_plan.planner.requests import away_in
from uniassist.times import Days, Length, Reading, due_day, read
from uniassist.times.calendars import months_after

_MOST_DAYS = 3650
_MOST_DAYS_OF_EVENT = 31
_WEEKEND = re.compile(r"周末|weekend", re.IGNORECASE)
_NOTES_END = re.compile(r"；|; |[。\n]")


def goal_of(values: Mapping[str, str], said: str, now: dt.datetime) -> Goal:
    """From the form's values (as `form.FIELDS` names them) and all that was said before. `now` has the zone.

    What nobody said is what the kind of goal usually has. A date that is over counts as not said.
    """
    today, text = now.date(), values["goal"].strip()
    kind = kind_of(text)
    constraints = spaced(values.get("constraints", ""))
    words = spaced("。".join(each for each in (text, said) if each))
    limits = read(constraints, now)
    time = spaced(values.get("timeAvailable", ""))
    readings = read(words, now)
    hours = _both(hours_in(time, read(time, now)), hours_in(constraints, limits)) or hours_in(words, readings)
    if hours is not None and hours.weekdays is not None:  # "只有周末有空" names no weekend
        readings = [each for each in readings if not _WEEKEND.search(simplified(words[each.begin : each.end]))]
    readings += [each for each in limits if each.bound == "by"]
    due = dt.date.fromisoformat(values["dueDate"]) if values.get("dueDate") else None
    if due is None or due < today:
        due = _due(kind, readings, today)
    is_assumed = due is None
    due = min(due or today + dt.timedelta(days=kinds()[kind].usual_days), today + dt.timedelta(days=_MOST_DAYS))
    first, ends = _event(kind, due, readings, today)
    away = away_in(simplified(constraints).lower(), limits)
    return Goal(
        text=text,
        kind=kind,
        start=today,
        due=first,
        ends=ends,
        weekly_minutes=hours.weekly_minutes if hours is not None else None,
        weekdays=(hours.weekdays if hours is not None else None) or EVERY_DAY,
        away=((away.first, away.last),) if away is not None else (),
        notes=tuple(each.strip() for each in _NOTES_END.split(values.get("constraints", "")) if each.strip()),
        is_due_assumed=is_assumed,
    )


def _both(one: Hours | None, other: Hours | None) -> Hours | None:
    """What the first doesn't say is the other's."""
    if one is None or other is None:
        return one or other
    return Hours(one.weekly_minutes or other.weekly_minutes, one.weekdays or other.weekdays)


def _due(kind: str, readings: list[Reading], today: dt.date) -> dt.date | None:
    """The day named; else as long from now as something is to take ("用三个月学会"), where it is no event."""
    named = due_day(readings, today)
    if named is not None or kinds()[kind].is_event:
        return named
    for each in readings:
        if isinstance(each.what, Length) and (each.what.months or each.what.days >= 2):
            return months_after(today, each.what.months) + dt.timedelta(days=each.what.days)
    return None


def _event(kind: str, due: dt.date, readings: list[Reading], today: dt.date) -> tuple[dt.date, dt.date]:
    """The first and the last day of what lasts some days, such as a trip; else the day that it is due, twice."""
    if not kinds()[kind].is_event or len(kinds()[kind].during["zh"]) < 2:
        return due, due
    for each in readings:
        if not isinstance(each.what, Days) or each.bound is not None:
            continue
        first, last = each.what.first, each.what.last
        if first <= due <= last and (last - first).days < _MOST_DAYS_OF_EVENT:
            return max(first, today), last
    for each in readings:
        if isinstance(each.what, Length) and each.what.days and not each.what.months:
            return due, due + dt.timedelta(days=min(each.what.days, _MOST_DAYS_OF_EVENT) - 1)
    return due, due
