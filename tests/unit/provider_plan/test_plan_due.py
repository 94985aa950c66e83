"""When steps are told: in the morning, by the person's clock, each day once, also where clocks change."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.provider_plan.planner.test_planner_plans import CHANGES, goals

from uniassist.provider_plan import schedule
from uniassist.provider_plan.planner.changing import Change, Refused, change
from uniassist.provider_plan.planner.making import make
from uniassist.provider_plan.planner.model import Goal
from uniassist.times import zone_of

TODAY = dt.date(2026, 2, 25)
ZONES = st.sampled_from(
    [None, "Asia/Shanghai", "America/New_York", "Pacific/Kiritimati", "Atlantic/Azores", "no zone"]
)


@pytest.mark.parametrize(
    ("day", "zone", "hour", "utc"),
    [
        (dt.date(2026, 3, 28), "Europe/Berlin", 8, "2026-03-28T07:00"),
        (dt.date(2026, 3, 29), "Europe/Berlin", 8, "2026-03-29T06:00"),  # summer time begins
        (dt.date(2026, 3, 29), "Europe/Berlin", 2, "2026-03-29T01:00"),  # an hour that isn't there
        (dt.date(2026, 10, 25), "Europe/Berlin", 2, "2026-10-25T00:00"),  # one that is there twice: the first
        (dt.date(2026, 3, 1), None, 8, "2026-03-01T00:00"),
        (dt.date(2026, 3, 1), "America/New_York", 8, "2026-03-01T13:00"),
    ],
)
def test_a_morning_is_the_persons_own(day: dt.date, zone: str | None, hour: int, utc: str) -> None:
    assert schedule.morning(day, zone, hour) == dt.datetime.fromisoformat(f"{utc}:00+00:00")


@pytest.mark.parametrize(("hour", "day"), [(7, TODAY - dt.timedelta(days=1)), (8, TODAY), (23, TODAY)])
def test_who_talks_of_the_plan_after_the_hour_has_seen_the_day(hour: int, day: dt.date) -> None:
    now = dt.datetime(2026, 2, 25, hour, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert schedule.told_through(now, "Asia/Shanghai", 8) == day


@settings(max_examples=100, deadline=None)
@given(goals(), ZONES, st.integers(0, 23), st.lists(CHANGES, max_size=5))
def test_each_day_on_which_steps_begin_is_told_once_and_in_order(
    goal: Goal, zone: str | None, hour: int, changes: list[Change]
) -> None:
    plan = make(goal, "en")
    for wanted in changes:
        try:
            plan = change(plan, wanted, TODAY)
        except Refused:
            continue
    told, days = TODAY - dt.timedelta(days=1), []
    while (due := schedule.next_due(plan, told, zone, hour)) is not None:
        here = due.astimezone(zone_of(zone))
        assert here.hour >= hour
        told = here.date()
        days.append(told)
        assert schedule.begins(plan, told)
    assert days == sorted({each.first for each in plan.open if each.first >= TODAY})
