"""Reading a first message: what is said is suggested, what isn't is left to the person."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.provider_plan.plan_requests import NOW_MS

from uniassist.provider_plan import form, reading


def suggest(text: str, timezone: str | None = None, at_ms: int = NOW_MS) -> dict[str, str]:
    return reading.suggest(text, at_ms=at_ms, timezone=timezone)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-03-01 前完成", "2026-03-01"),
        ("截止到2026/3/1", "2026-03-01"),
        ("2026年3月1日之前", "2026-03-01"),
        ("3月1日之前交", "2026-03-01"),
        ("2月25号", "2026-02-25"),
        ("1月5日出发", "2027-01-05"),
        ("明天交报告", "2026-02-26"),
        ("后天", "2026-02-27"),
        ("大后天", "2026-02-28"),
        ("10天内学完", "2026-03-07"),
        ("plan my move within 10 days", "2026-03-07"),
        ("Tomorrow, please", "2026-02-26"),
    ],
)
def test_a_date_is_found(text: str, date: str) -> None:
    assert suggest(text)["dueDate"] == date


@pytest.mark.parametrize("text", ["2026-02-30", "13月1日", "12345-01-01", "没有日期", "", "1.2.3", "三天"])
def test_what_is_no_date_suggests_none(text: str) -> None:
    assert "dueDate" not in suggest(text)


def test_the_day_is_the_persons_own() -> None:
    late_ms = 1_772_031_600_000  # 15:00 in London, 23:00 in Beijing, midnight in Tokyo
    assert suggest("今天", "Europe/London", late_ms)["dueDate"] == "2026-02-25"
    assert suggest("今天", None, late_ms)["dueDate"] == "2026-02-25"
    assert suggest("今天", "Asia/Tokyo", late_ms)["dueDate"] == "2026-02-26"


@pytest.mark.parametrize(
    "zone", ["Nowhere/Land", "../../etc/passwd", "/etc/passwd", "Asia", ".", "\ud7ff", "a" * 5000]
)
def test_a_zone_that_does_not_exist_counts_as_none(zone: str) -> None:
    assert suggest("今天", zone) == suggest("今天")


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("目标是三个月学会游泳，预算2000元", "三个月学会游泳"),
        ("我的目标：减重五公斤。", "减重五公斤"),
        ("帮我制定一个学习日语的计划", "学习日语"),
        ("请帮我计划一下周末去杭州旅行", "周末去杭州旅行"),
        ("Plan a trip to Rome.", "a trip to Rome"),
        ("幫我計劃下周五的聚會", "下周五的聚會"),
        ("帮我安排下个月的体检", "下个月的体检"),
        ("帮我安排一个月瘦五斤", "一个月瘦五斤"),
        ("幫我制定一個學習日語的計劃", "學習日語"),
        ("帮我安排一下搬家吧", "搬家"),
        ("plan a day in Lyon, please", "a day in Lyon"),
        ("My goal is to run a marathon", "to run a marathon"),
    ],
)
def test_a_goal_is_found(text: str, goal: str) -> None:
    assert suggest(text)["goal"] == goal


@pytest.mark.parametrize("text", ["帮我做个计划", "计划", "帮我安排一下日程吧", "你好", "plan a", "目标"])
def test_a_request_without_a_goal_suggests_none(text: str) -> None:
    assert "goal" not in suggest(text)


def test_constraints_are_gathered() -> None:
    said = suggest("帮我安排去杭州旅行，预算5000元，不能坐飞机。周末出发")
    assert said["constraints"] == "预算5000元；不能坐飞机"


@pytest.mark.parametrize(
    ("known", "said", "both"),
    [
        ("太紧了", "有点贵", "太紧了；有点贵"),
        ("太紧了；有点贵", "太紧了", "有点贵；太紧了"),
        ("预算五千；太紧了", "预算八千", "太紧了；预算八千"),
        ("too far", "budget 500", "too far; budget 500"),
        ("budget 500; too far", "Budget 800", "too far; Budget 800"),
        ("預算五千", "预算八千", "预算八千"),
    ],
)
def test_constraints_add_up_and_a_budget_takes_the_place_of_the_one_before(
    known: str, said: str, both: str
) -> None:
    before = {"goal": "旅行", "constraints": known}
    assert reading.merged(before, {"constraints": said}) == {"goal": "旅行", "constraints": both}
    assert reading.merged(before, {"goal": "搬家"}) == {"goal": "搬家", "constraints": known}


@given(
    text=st.text(
        st.sampled_from("目标是计划安排的我预算明天2026-3月1日 ，。am\n") | st.characters(codec="utf-8"),
        max_size=300,
    ),
    at_ms=st.integers(-(2**63), 2**63 - 1),
    timezone=st.none() | st.sampled_from(["Asia/Shanghai", "America/New_York"]) | st.text(max_size=40),
)
def test_whatever_is_suggested_would_be_accepted(text: str, at_ms: int, timezone: str | None) -> None:
    said = reading.suggest(text, at_ms=at_ms, timezone=timezone)
    checked = form.check({"goal": "目标", **said}, None)
    assert checked.problems == []
    assert all(checked.values[name] == value.strip() for name, value in said.items())


def test_a_hostile_text_is_read_in_no_time() -> None:
    began = dt.datetime.now(dt.UTC)
    for text in ("计划" + "我的" * 500_000, "计划" + "的" * 500_000 + "x", "目标是" * 300_000, "2026-" * 200_000):
        suggest(text)
    assert (dt.datetime.now(dt.UTC) - began).total_seconds() < 2
