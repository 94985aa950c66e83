"""What recurs: strictly later each time, by the wall clock, over summer time and from zone to zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from uniassist.provider_reminder.recurring import anchor_of, missed, next_after

WALL = dt.datetime.fromisoformat
ZONES = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Tokyo",
)
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_RULES = st.one_of(
    st.builds("FREQ=DAILY;INTERVAL={}".format, st.integers(1, 40)),
    st.builds(
        lambda days, interval: f"FREQ=WEEKLY;INTERVAL={interval};BYDAY={','.join(sorted(days))}",
        st.sets(st.sampled_from(_DAYS), min_size=1),
        st.integers(1, 5),
    ),
    st.builds("FREQ=MONTHLY;BYMONTHDAY={}".format, st.sampled_from((1, 15, 28, 30, 31, -1))),
    st.builds("FREQ=YEARLY;BYMONTH={};BYMONTHDAY={}".format, st.integers(1, 12), st.integers(1, 28)),
)
_WALLS = st.datetimes(WALL("2025-01-01 00:00"), WALL("2028-01-01 00:00")).map(
    lambda each: each.replace(second=0, microsecond=0)
)
_INSTANTS = st.datetimes(WALL("2025-01-01 00:00"), WALL("2030-01-01 00:00"), timezones=st.just(dt.UTC))


@given(_RULES, _WALLS, st.sampled_from(ZONES), _INSTANTS)
def test_the_next_is_strictly_later_of_the_rule_and_at_its_wall_clock(
    rule: str, wall: dt.datetime, zone_name: str, after: dt.datetime
) -> None:
    zone = ZoneInfo(zone_name)
    found = next_after(rule, wall, zone, after)
    assert found is not None
    instant, at = found
    assert instant > after
    assert at >= wall
    assert at in rrulestr(f"RRULE:{rule}", dtstart=wall), "the rule names it"
    shown = instant.astimezone(zone).replace(tzinfo=None)
    exists = at.replace(tzinfo=zone).astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) == at
    assert shown == at if exists else dt.timedelta(0) < shown - at <= dt.timedelta(hours=1)
    again = next_after(rule, wall, zone, instant)
    assert again is not None
    assert again[0] > instant
    assert next_after(rule, at, zone, after) == found, "counted from itself it is the same: the anchor may move on"


@given(st.integers(1, 12), _WALLS, st.sampled_from(ZONES), _INSTANTS)
def test_hours_are_as_long_as_hours_are(
    interval: int, wall: dt.datetime, zone_name: str, after: dt.datetime
) -> None:
    rule, zone = f"FREQ=HOURLY;INTERVAL={interval}", ZoneInfo(zone_name)
    anchor = anchor_of(rule, wall, zone)
    begun = anchor.replace(tzinfo=dt.UTC)
    after = begun + (after - dt.datetime(2025, 1, 1, tzinfo=dt.UTC)) % dt.timedelta(days=200)
    found = next_after(rule, anchor, zone, after)
    assert found is not None
    assert dt.timedelta(0) < found[0] - after <= dt.timedelta(hours=interval)
    assert (found[0] - begun) % dt.timedelta(hours=interval) == dt.timedelta(0)


@pytest.mark.parametrize(
    ("zone", "wall", "after", "expected"),
    [
        # 02:30 isn't there on 29 March: an hour later by the clock, half past three
        ("Europe/Berlin", "2026-03-27 02:30", "2026-03-28 12:00+01:00", "2026-03-29 03:30+02:00"),
        # 02:30 is there twice on 25 October: the first of them
        ("Europe/Berlin", "2026-10-23 02:30", "2026-10-24 12:00+02:00", "2026-10-25 02:30+02:00"),
        # and not once more an hour later
        ("Europe/Berlin", "2026-10-23 02:30", "2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"),
        ("Europe/Berlin", "2026-03-27 09:00", "2026-03-28 12:00+01:00", "2026-03-29 09:00+02:00"),
        ("America/New_York", "2026-10-30 09:00", "2026-10-31 12:00-04:00", "2026-11-01 09:00-05:00"),
        ("Australia/Lord_Howe", "2026-10-02 02:15", "2026-10-03 12:00+10:30", "2026-10-04 02:45+11:00"),
    ],
)
def test_over_a_change_of_summer_time(zone: str, wall: str, after: str, expected: str) -> None:
    found = next_after(
        "FREQ=DAILY", dt.datetime.fromisoformat(wall), ZoneInfo(zone), dt.datetime.fromisoformat(after)
    )
    assert found is not None
    assert found[0] == dt.datetime.fromisoformat(expected)


def test_who_flies_west_has_the_next_morning_there_and_east_likewise() -> None:
    anchor = WALL("2026-03-01 08:00")  # said that morning in Shanghai
    now = dt.datetime(2026, 3, 1, 2, tzinfo=dt.UTC)
    west = next_after("FREQ=DAILY", anchor, ZoneInfo("America/Los_Angeles"), now)
    east = next_after("FREQ=DAILY", anchor, ZoneInfo("Asia/Tokyo"), now)
    assert west is not None
    assert east is not None
    assert west[0] == dt.datetime(2026, 3, 1, 16, tzinfo=dt.UTC)
    assert east[0] == dt.datetime(2026, 3, 1, 23, tzinfo=dt.UTC)


@given(st.integers(0, 30), st.sampled_from(ZONES))
def test_what_was_missed_is_counted_with_both_ends(days: int, zone_name: str) -> None:
    zone, anchor = ZoneInfo(zone_name), WALL("2026-03-01 09:00")
    since = anchor.replace(tzinfo=zone)
    until = (anchor + dt.timedelta(days=days)).replace(tzinfo=zone)
    count, last = missed("FREQ=DAILY", anchor, zone, since, until)
    assert (count, last) == (days + 1, anchor + dt.timedelta(days=days))


def test_a_rule_that_ends_or_never_comes_has_no_next() -> None:
    zone, now = ZoneInfo("Asia/Shanghai"), dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    assert next_after("FREQ=DAILY;COUNT=1", WALL("2026-02-01 09:00"), zone, now) is None
    assert next_after("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", WALL("2026-02-01 09:00"), zone, now) is None
