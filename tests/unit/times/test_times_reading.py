"""What holds for every text, clock and zone; and summer time."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniassist.times import Day, Days, Moment, Period, Repeat, due_day, localized, now_in, read, rest, zone_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 2, 25, 10, 16, tzinfo=SHANGHAI)  # a Wednesday
LINES = Path(__file__).with_name("times.tsv").read_text(encoding="utf-8").splitlines()
MESSAGES = [line.split("\t")[3] for line in LINES if not line.startswith("#")]
ZONES = ("Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia")


def clocks() -> st.SearchStrategy[dt.datetime]:
    seconds = st.integers(-600_000_000, 3_700_000_000)  # 1950 to 2087
    return st.builds(
        lambda at, zone: dt.datetime.fromtimestamp(at, ZoneInfo(zone)), seconds, st.sampled_from(ZONES)
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=2), clocks())
def test_what_is_read_is_in_order_and_in_the_persons_zone(messages: list[str], now: dt.datetime) -> None:
    text = "。".join(messages)
    at = 0
    for each in read(text, now):
        assert at <= each.begin < each.end <= len(text)
        at = each.end
        match each.what:
            case Moment(moment):
                assert moment.utcoffset() == moment.astimezone(now.tzinfo).utcoffset()
            case Days(first, last):
                assert first <= last
            case Period(begins, ends):
                assert begins < ends
            case Repeat(_, first_day, _):
                assert first_day >= now.date()


@settings(max_examples=60, deadline=None)
@given(
    st.text(
        st.sampled_from("每周一三五个月十天半点两前后到-: 年第初节am7next ofdy") | st.characters(codec="utf-8"),
        max_size=80,
    )
)
def test_no_text_breaks_it(text: str) -> None:
    readings = read(text, NOW)
    rest(text, readings)
    due_day(readings, NOW.date())


def test_the_rest_is_what_was_not_read() -> None:
    text = "明天九点提醒我交报告"
    assert rest(text, read(text, NOW)) == "提醒我交报告"
    text = "remind me tomorrow at 9 to pay"
    assert rest(text, read(text, NOW)) == "remind me to pay"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("周五前写完，下周一汇报", "2026-02-27"),
        ("下周一汇报，周五前写完", "2026-02-27"),
        ("国庆假期去云南", "2026-10-07"),
        ("昨天没写完", None),
        ("每天跑步", None),
        ("from next Monday, done by March 20", "2026-03-20"),
    ],
)
def test_what_is_due_is_what_is_said_to_be(text: str, day: str | None) -> None:
    found = due_day(read(text, NOW), NOW.date())
    assert (found.isoformat() if found else None) == day


def test_today_is_the_persons() -> None:
    late_ms = 1_772_038_800_000  # 2026-02-25 17:00 UTC
    for zone, day in ((None, "2026-02-26"), ("America/New_York", "2026-02-25"), ("no/such", "2026-02-26")):
        now = now_in(late_ms, zone)
        assert now is not None
        assert str(read("今天", now)[0]) == day
    assert now_in(1 << 62, None) is None


def test_minutes_are_of_the_clock_that_never_jumps() -> None:
    before = dt.datetime(2026, 3, 8, 1, 30, tzinfo=ZoneInfo("America/New_York"))  # summer time at two
    assert str(read("in an hour", before)[0]) == "2026-03-08T03:30"
    assert str(read("in 1 day", before)[0]) == "2026-03-09"


def test_a_wall_clock_twice_is_the_first_one() -> None:
    berlin = zone_of("Europe/Berlin")
    at = localized(dt.date(2026, 10, 25), dt.time(2, 30), berlin)
    assert at.astimezone(dt.UTC) == dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)


def test_a_leap_day_is_the_next_one_there_is() -> None:
    assert read("2月29日", NOW)[0].what == Day(dt.date(2028, 2, 29))


@pytest.mark.parametrize(
    "text",
    [
        "一" * 2000,
        "每周一" * 700,
        "1-" * 1000,
        "in " * 700,
        "  " * 1000 + "x",
        "周" * 2000,
        "9:" * 1000,
        "Monday and " * 180,
    ],
)
def test_a_hostile_text_is_read_in_no_time(text: str) -> None:
    began = time.process_time()
    read(text, NOW)
    assert time.process_time() - began < 1
