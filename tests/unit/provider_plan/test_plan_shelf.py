"""Kept plans in conversation: another day, another session, several of them, deleted and back."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.provider_plan.persons import PersonTalking

from uniassist.provider_plan.planner.changing import Add, Refused, Show, change
from uniassist.provider_plan.planner.keeping import kept, restored
from uniassist.provider_plan.shelf import MOST_PLANS, Drafted, Shelf
from uniassist.provider_plan.shelf_requests import shelf_request

GOALS = ["去东京玩五天", "learn to swim", "a trip to Rome"]


@pytest.mark.parametrize(
    ("text", "verb", "which"),
    [
        ("我的计划", "list", 0),
        ("我有哪些计划？", "list", 0),
        ("所有计划", "list", 0),
        ("show my plans", "list", 0),
        ("list my plans", "list", 0),
        ("what plans do I have?", "list", 0),
        ("看看我的计划", "show", 0),
        ("我的進度", "show", 0),
        ("show my plan", "show", 0),
        ("删掉第二个计划", "delete", 2),
        ("刪掉計劃2", "delete", 2),
        ("delete plan 2", "delete", 2),
        ("delete the swim plan", "delete", 2),
        ("删掉最后一个计划", "delete", 3),
        ("move plan 2 by two days", None, 2),
        ("plan 2: too tight", None, 2),
        ("第二个计划推迟两天", None, 2),
        ("看看东京的计划", None, 1),
        ("导出日历", "export", 0),
        ("export my plan", "export", 0),
        ("把计划加到日历", "export", 0),
        ("撤销", "restore", 0),
        ("undo", "restore", 0),
        ("undo step 2", None, 0),
        ("删掉第二步", None, 0),
        ("不要计划太满", None, 0),
        ("plan 3 days in Tokyo", None, 0),
        ("计划三天去东京", None, 0),
        ("我的计划是学会游泳", None, 0),
        ("太紧了", None, 0),
    ],
)
def test_what_is_asked_of_kept_plans(text: str, verb: str | None, which: int) -> None:
    asked = shelf_request(text, GOALS)
    assert (asked.verb, asked.which, asked.makes_new) == (verb, which, False)


@pytest.mark.parametrize(
    "text", ["帮我安排一个计划", "给我做个去东京的计划", "make a plan to learn to swim", "I need another plan"]
)
def test_who_wants_another_plan_means_none_of_those(text: str) -> None:
    asked = shelf_request(text, GOALS)
    assert (asked.verb, asked.which, asked.makes_new) == (None, 0, True)


def test_a_plan_is_there_the_next_week_in_another_session_and_changes_there() -> None:
    me = PersonTalking()
    assert "计划已保存" in me.submits({"goal": "去东京玩五天", "dueDate": "2026-04-01"})
    me.in_a_week()
    assert "“去东京玩五天”的计划" in me.says("看看我的计划")
    me.in_a_week(1)
    assert "4月3日周五" in me.says("把我的计划推迟两天")
    me.in_a_week(1)
    assert me.says("计划的第一步做完了").startswith("记下了，16 步里完成了 1 步。")
    assert me.plans[0].goal.due == dt.date(2026, 4, 3)
    for text in ("计划太紧了", "计划推迟两天", "计划里加一步：买伞", "把计划改到5月1日"):
        me.in_a_week(1)
        assert "计划改好了" in me.says(text), text


def test_the_same_in_english() -> None:
    me = PersonTalking(language="en")
    me.submits({"goal": "a trip to Rome", "dueDate": "2026-04-01"})
    me.in_a_week()
    assert "Plan for “a trip to Rome”" in me.says("show my plan")
    assert "Fri 3 Apr" in me.says("move it by two days")


def test_several_are_listed_chosen_and_changed_by_number_or_by_what_they_are_about() -> None:
    me = PersonTalking()
    me.makes("去东京玩五天")
    me.makes("学会游泳", "2026-06-01")
    me.last = None
    listed = me.says("我的计划")
    assert "1. 去东京玩五天（4月5日周日，完成 0/16 步）\n2. 学会游泳" in listed
    assert "[show_plan:" in listed
    assert "“学会游泳”的计划" in me.says("第二个")
    me.says("推迟两天")
    assert [each.goal.due for each in me.plans] == [dt.date(2026, 4, 1), dt.date(2026, 6, 3)]
    me.in_a_week(1)
    me.says("东京的计划推迟两天")
    assert me.plans[0].goal.due == dt.date(2026, 4, 3)
    me.in_a_week(1)
    assert "你有 2 个计划，说的是哪一个？" in me.says("把计划推迟三天")
    assert "计划改好了" in me.says("第一个")
    assert me.plans[0].goal.due == dt.date(2026, 4, 6)
    assert "没有第 5 个计划，一共 2 个" in me.says("删掉第5个计划")


def test_a_list_is_tapped_as_well() -> None:
    me = PersonTalking()
    me.makes("去东京玩五天")
    me.makes("学会游泳", "2026-06-01")
    first = next(iter(me.kept))
    assert "“去东京玩五天”的计划" in me.taps(f"show_plan:{first}")
    me.says("推迟两天")
    assert me.plans[0].goal.due == dt.date(2026, 4, 3)
    assert "不在了" in me.taps("show_plan:plan-of-nobody")


def test_a_deleted_plan_is_named_and_can_be_had_back() -> None:
    me = PersonTalking()
    me.makes("去东京玩五天")
    me.makes("学会游泳", "2026-06-01")
    said = me.says("删掉第二个计划")
    assert "已删掉“学会游泳”的计划" in said
    assert [each.goal.text for each in me.plans] == ["去东京玩五天"]
    assert "找回来了：“学会游泳”" in me.says("撤销")
    assert [each.goal.text for each in me.plans] == ["去东京玩五天", "学会游泳"]
    me.says("删掉所有计划")
    assert me.plans == []
    assert "还没有保存的计划" in me.says("看看我的计划")
    [action] = [each for each in said.splitlines() if each.startswith("[restore_plan:")]
    assert "找回来了" in me.taps(action.strip("[]"))
    assert len(me.plans) == 2, "all that went together come back together"


def test_deleting_a_step_deletes_no_plan() -> None:
    me = PersonTalking()
    before = me.makes("学会游泳", "2026-06-01")
    me.says("删掉第二步")
    assert len(me.plans) == 1
    assert before.steps[1].item.title not in [each.item.title for each in me.plans[0].steps]


def test_a_new_goal_is_a_new_plan_and_not_a_change_of_the_old_one() -> None:
    for text in (
        "帮我安排一个计划",
        "给我做个去大阪的计划",
        "帮我计划学会游泳",
        "安排明天下午的会议推迟两天",
        "计划提前退休",
    ):
        me = PersonTalking()
        plan = me.makes("去东京玩五天")
        me.in_a_week()
        assert "form plan-" in me.says(text), text
        assert me.plans == [plan], text


def test_a_calendar_is_given_by_a_link_or_it_is_said_what_is_missing() -> None:
    me = PersonTalking()
    me.makes("去东京玩五天")
    assert "“去东京玩五天”的日历 https://plans.test/token.ics" in me.says("导出日历")
    nowhere = PersonTalking(url=None)
    nowhere.makes("去东京玩五天")
    said = nowhere.says("导出日历")
    assert "UNIASSIST_PLAN_PUBLIC_URL" in said
    assert "http" not in said


def test_the_form_asks_for_what_the_message_left_open() -> None:
    me = PersonTalking()
    said = me.says("帮我计划学会游泳，每天一小时")
    assert "目标“学会游泳”" in said
    assert "可用时间“每天一小时”" in said
    [form] = [line for line in said.splitlines() if line.startswith("form ")]
    task, fields = form.removeprefix("form ").split(": ")
    assert fields.split() == ["dueDate", "constraints"]
    me.submits({"dueDate": "2026-06-01"}, task)
    goal = me.plans[0].goal
    assert (goal.text, goal.due, goal.weekly_minutes) == ("学会游泳", dt.date(2026, 6, 1), 7 * 60)


def test_time_that_is_available_says_of_what() -> None:
    me = PersonTalking()
    assert "每天或每周" in me.submits({"goal": "学会游泳", "timeAvailable": "两小时"})
    assert me.plans == []
    me.submits({"goal": "学会游泳", "timeAvailable": "每周五小时"})
    assert me.plans[0].goal.weekly_minutes == 5 * 60


def test_the_form_submitted_again_makes_the_same_plan_anew() -> None:
    me = PersonTalking()
    task = f"plan-{'0' * 24}"
    me.submits({"goal": "学会游泳", "dueDate": "2026-06-01"}, task)
    me.submits({"goal": "学会潜水", "dueDate": "2026-06-01"}, task)
    assert [each.goal.text for each in me.plans] == ["学会潜水"]


def test_there_is_a_most_of_plans_and_of_steps() -> None:
    me = PersonTalking()
    for number in range(MOST_PLANS):
        me.makes(f"目标{number}")
    assert f"已经存了 {MOST_PLANS} 个计划" in me.submits({"goal": "再一个"})
    assert len(me.plans) == MOST_PLANS
    plan, today = me.plans[0], dt.date(2026, 2, 25)
    while len(plan.steps) < 100:
        plan = change(plan, Add("再来一步"), today)
    with pytest.raises(Refused) as refused:
        change(plan, Add("再来一步"), today)
    assert refused.value.reason == "too_many_steps"
    assert change(plan, Show(), today) is plan


SAYINGS = st.sampled_from(
    [
        "推迟两天",
        "提前一天",
        "太紧了",
        "太松了",
        "第一步做完了",
        "第二步做完了",
        "第二步没做完",
        "删掉第三步",
        "加一步：买保险",
        "每天一小时",
        "只有周末有空",
        "下周出差",
        "改成大阪",
        "看看我的计划",
        "下一步",
        "我的计划",
        "第二个计划推迟两天",
        "第一个计划太紧了",
        "删掉第一个计划",
        "撤销",
        "帮我计划学会游泳",
        "导出日历",
        "第二个",
        "2",
        "把第二个计划改到4月20日",
        "蓝色的",
        "删掉所有计划",
        "改到3月5日",
        "第三步推迟一周",
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("says"), SAYINGS, st.integers(0, 6)),
        st.tuples(
            st.just("makes"), st.sampled_from(["去东京玩五天", "写完报告", "办婚礼", "学会游泳"]), st.integers(0, 3)
        ),
        st.tuples(st.just("rests"), st.just(""), st.integers(1, 30)),
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_is_said_every_kept_plan_can_be_lived_by(steps: list[tuple[str, str, int]]) -> None:
    """Dates in range and order, nothing empty; and it is the same once it was written and read."""
    me = PersonTalking()
    for kind, text, days in steps:
        me.at_ms += days * 24 * 3600 * 1000
        before = dict(me.kept)
        if kind == "makes":
            me.makes(text, "2026-06-01")
        elif kind == "says":
            assert me.says(text)
        else:
            me.in_a_week(days)
        assert set(before) <= set(me.kept), "what is deleted can be had back"
        for each in me.kept.values():
            assert list(each.plan.problems()) == [], text
            back = restored(kept(each.plan))
            assert back is not None
            assert kept(back) == kept(each.plan)


def test_a_form_is_noted_once_something_is_known_of_it_and_again_when_nothing_is_any_more() -> None:
    new, known = Shelf(is_kept=True), Shelf(is_kept=True, draft={"goal": "学会游泳"})
    new.note("plan-1", {})
    assert new.writes == []
    new.note("plan-1", {"goal": "学会游泳"})
    assert new.writes == [Drafted("plan-1", {"goal": "学会游泳"})]
    known.note("plan-1", {})
    assert known.writes == [Drafted("plan-1", {})]
