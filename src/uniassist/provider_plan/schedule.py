"""When the steps of a plan are told: in the morning of the day on which each begins. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from uniassist.provider_plan.planner.model import Plan, Step
from uniassist.times import localized, zone_of

ONE_DAY = dt.timedelta(days=1)


def told_through(now: dt.datetime, timezone: str | None, hour: int) -> dt.date:
    """The person's last day whose steps need not be told to who is talking of the plan at `now`."""
    here = now.astimezone(zone_of(timezone))
    return here.date() if here.hour >= hour else here.date() - ONE_DAY


def next_due(plan: Plan, told: dt.date, timezone: str | None, hour: int) -> dt.datetime | None:
    """The morning of the first day after `told` on which an open step begins, in UTC; None: there is none."""
    days = [each.first for each in plan.open if each.first > told]
    return morning(min(days), timezone, hour) if days else None


def morning(day: dt.date, timezone: str | None, hour: int) -> dt.datetime:
    return localized(day, dt.time(hour), zone_of(timezone)).astimezone(dt.UTC)


def begins(plan: Plan, day: dt.date) -> Sequence[Step]:
    """The open steps that begin on that day."""
    return [each for each in plan.open if each.first == day]
