"""A plan is made of the form, and what is said of it afterwards changes it; it travels in the hint."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.provider_plan.plan_requests import NOW_MS, english, interaction, invocation
from tests.unit.provider_plan.planner.test_planner_plans import goals

from uniassist.contracts import codec
from uniassist.contracts.interaction import AssistantMessage
from uniassist.contracts.provider import MAX_HINT_LENGTH, InteractResponse, InvokeRequest, InvokeResponse
from uniassist.provider_plan import answers
from uniassist.provider_plan.planner.keeping import kept, restored
from uniassist.provider_plan.planner.making import make
from uniassist.provider_plan.planner.model import Goal
from uniassist.provider_plan.talk import Talk

TRIP = {"goal": "去东京玩五天", "dueDate": "2026-04-01", "constraints": "预算一万"}


def made(values: dict[str, str] | None = None, **changed: Any) -> InteractResponse:
    return answers.interact(interaction({"values": values or TRIP}, **changed))


def reply(before: InvokeResponse | InteractResponse, text: str, **changed: Any) -> InvokeResponse:
    assert before.expects_reply is not None, text
    run = {"runId": "run-7", "continues": before.run_id, "hint": before.expects_reply.hint}
    asked = codec.encode(invocation(text, run=run, **changed))
    return answers.invoke(codec.decode(asked, InvokeRequest))


def shown(answer: InvokeResponse) -> str:
    assert answer.immediate_events is not None
    return "\n".join(each.text for each in answer.immediate_events if isinstance(each, AssistantMessage))


def test_a_conversation_about_a_plan() -> None:
    first = made()
    assert first.expects_reply is not None
    assert (first.expects_reply.until_ms or 0) > NOW_MS + 24 * 3600 * 1000, "as long as the gateway lets it"
    done = reply(first, "第一步做完了")
    assert done.ack.message == "记下了，16 步里完成了 1 步。"
    assert shown(done).startswith("接下来：\n2. ")
    moved = reply(done, "推迟两天")
    assert "4月3日周五" in shown(moved)
    assert "✓ 1. " in shown(moved)
    other = reply(moved, "改成大阪吧")
    assert "“去大阪玩五天”的计划" in shown(other)
    assert "✓ 1. " in shown(other), "what is done stays"
    refused = reply(other, "第99步做完了")
    assert refused.ack.message == "没有第 99 步，一共 16 步。"
    again = reply(refused, "看看我的计划")
    assert shown(again) == shown(other)


def test_the_same_in_english() -> None:
    first = made({"goal": "a trip to Rome", "dueDate": "2026-04-01"}, context=english())
    moved = reply(first, "move it by two days", context=english())
    assert "Fri 3 Apr" in shown(moved)
    assert "a trip to Osaka" in shown(reply(moved, "make it Osaka instead", context=english()))
    looser = reply(moved, "too tight", context=english())
    assert "No room for: " in shown(looser)


def test_what_is_not_read_is_asked_back_once() -> None:
    missed = reply(made(), "蓝色的")
    assert missed.ack.message is not None
    assert missed.ack.message.startswith("这个我还帮不上忙。你的计划还在")
    again = reply(missed, "还是蓝色的")
    assert again.expects_reply is None
    assert "16 步里完成了 1 步" in (reply(missed, "第一步做完了").ack.message or "")


def test_something_new_gets_a_form_of_its_own() -> None:
    answer = reply(made(), "帮我计划学会游泳")
    assert answer.ack.message is not None
    assert "目标" in answer.ack.message
    assert answer.expects_reply is not None
    assert Talk.of(invocation(run={"continues": "run-7", "hint": answer.expects_reply.hint}).run).plan is None


def test_a_clock_that_is_no_date_still_gets_an_answer() -> None:
    answer = made(interaction={"timestampMs": 1 << 62})
    assert answer.expects_reply is None
    last = answer.events[-1]
    assert isinstance(last, AssistantMessage)
    assert last.text.startswith("计划已确认。\n目标：去东京玩五天")


@settings(max_examples=60, deadline=None)
@given(goals(), st.sampled_from(["zh", "en"]))
def test_a_plan_kept_is_the_plan(goal: Goal, language: str) -> None:
    plan = make(goal, "zh" if language == "zh" else "en")
    back = restored(kept(plan))
    assert back is not None
    assert kept(back) == kept(plan)
    assert [(each.first, each.last, each.minutes, each.times) for each in back.steps] == [
        (each.first, each.last, each.minutes, each.times) for each in plan.steps
    ]


@pytest.mark.parametrize("text", ["", "null", "{}", "[]", '{"goal":[]}', "7"])
def test_what_is_no_plan_is_none(text: str) -> None:
    assert restored(text) is None


def test_a_plan_out_of_order_is_none() -> None:
    day = dt.date(2026, 2, 25)
    text = kept(make(Goal("x", "visa", day, dt.date(2026, 4, 1), dt.date(2026, 4, 1)), "zh"))
    assert restored(text) is not None
    assert (
        restored(text.replace('"goal":["x","visa","2026-02-25",35,35', '"goal":["x","visa","2026-02-25",3,3'))
        is None
    )


@pytest.mark.parametrize("kind", ["去云南玩三十天", "办婚礼", "写毕业论文", "a wedding", "launch our app", "搬家"])
def test_the_longest_plans_fit_their_hint(kind: str) -> None:
    answer = made({"goal": kind, "dueDate": "2026-10-01", "constraints": "预算" + "很多" * 900})
    assert answer.expects_reply is not None
    assert len(answer.expects_reply.hint or "") <= MAX_HINT_LENGTH
    assert "10月8日" in shown(reply(answer, "推迟一周"))


def test_a_plan_too_long_to_travel_is_shown_and_not_expected_back() -> None:
    answer: InvokeResponse | InteractResponse = made()
    for number in range(40):
        answer = reply(answer, f"加一步：{number}{'很长' * 70}")
        if answer.expects_reply is None:
            break
        assert len(answer.expects_reply.hint or "") <= MAX_HINT_LENGTH
    assert isinstance(answer, InvokeResponse)
    assert answer.expects_reply is None
    assert f"{number}很长" in shown(answer)
