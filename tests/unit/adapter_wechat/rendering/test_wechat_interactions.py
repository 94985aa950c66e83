"""Interactions as text: menus numbered, with what each number means, and machines' events left out."""

from __future__ import annotations

import pytest

from uniassist.adapter_wechat.outbound.passive_reply import words_of
from uniassist.adapter_wechat.rendering.interactions import Origin, render
from uniassist.adapter_wechat.rendering.menus import Blank, Pick, Submit
from uniassist.contracts.interaction import (
    Ack,
    Action,
    AssistantMessage,
    Card,
    Choice,
    ErrorNotice,
    ExtensionPayload,
    Field,
    Form,
    InteractionEvent,
    Nav,
    Progress,
    ProviderExtension,
    RequestClarification,
)
from uniassist.provider_plan import form

ORIGIN = Origin("event-1", "wx-session:o", "plan", "run-1")


def asked(**schema: object) -> ProviderExtension:
    return ProviderExtension(
        extension_kind="data_collection_request",
        payload=ExtensionPayload(provider_id="plan", data_schema=dict(schema), ui_schema={}, status="pending"),
    )


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Ack(), ""),
        (Ack(message="收到"), "收到"),
        (AssistantMessage(text="**好**"), "**好**"),
        (AssistantMessage(text="**好**", markdown=True), "好"),
        (
            AssistantMessage(text="能帮的有：", choices=[Choice(key="ask:plan", label="计划")]),
            "能帮的有：\n1. 计划\n回复数字即可选择。",
        ),
        (
            AssistantMessage(text="I can help.", choices=[Choice(key="ask:plan", label="Planning")]),
            "I can help.\n1. Planning\nReply with a number to choose.",
        ),
        (AssistantMessage(text="好", choices=[]), "好"),
        (
            Card(
                title="建议切换",
                body="更像工作",
                actions=[Action(action_id="a", label="切换"), Action(action_id="b", label="不")],
            ),
            "建议切换\n更像工作\n1. 切换\n2. 不\n回复数字即可选择。",
        ),
        (Card(title="只有标题"), "只有标题"),
        (
            Form(
                form_id="f",
                title="信息",
                fields=[Field(field_id="x", label="姓名", kind="text")],
                submit=Action(action_id="s", label="提交"),
            ),
            "信息\n1. 姓名\n2. 提交\n请回复“序号 内容”填写，例如“1 内容”；填好后回复 2。",
        ),
        (Nav(label="打开", href="https://a.example/b"), "打开：https://a.example/b"),
        (
            RequestClarification(
                question="哪个？", choices=[Choice(key="a", label="计划"), Choice(key="b", label="工作")]
            ),
            "哪个？\n1. 计划\n2. 工作\n回复数字即可选择。",
        ),
        (ErrorNotice(user_message="出错了", debug_message="trace"), "出错了"),
        (asked(), ""),
        (asked(title="空", properties={}), "空"),
        (
            asked(title=7, properties={"a": 7}, required="a"),
            "1. a\n2. 提交\n请回复“序号 内容”填写，例如“1 内容”；填好后回复 2。",
        ),
    ],
)
def test_each_interaction_reads_well(event: InteractionEvent, text: str) -> None:
    assert render(event, ORIGIN).text == text


def test_the_form_of_a_plan_reads_well() -> None:
    payload = ExtensionPayload(
        provider_id="plan",
        data_schema=form.data_schema(None, {"dueDate": "2026-03-01"}),
        ui_schema={"ui:order": ["dueDate", "unknown", 7, "goal"]},
        status="pending",
    )
    event = ProviderExtension(extension_kind="data_collection_request", payload=payload)
    rendered = render(event, ORIGIN, first=4)
    assert rendered.text == (
        "请补充计划信息\n4. 期望完成日期：2026-03-01（周日）\n5. 目标（必填）\n6. 可用时间\n7. 限制条件\n8. 提交\n"
        "请回复“序号 内容”填写，例如“5 内容”；填好后回复 8。"
    )
    date, goal, time, constraints, submit = rendered.choices
    assert isinstance(date, Blank)
    assert (date.number, date.name, date.kind, date.value) == (4, "dueDate", "date", "2026-03-01")
    assert isinstance(goal, Blank)
    assert (goal.required, goal.value) == (True, None)
    assert isinstance(time, Blank)
    assert isinstance(constraints, Blank)
    assert isinstance(submit, Submit)
    assert (submit.number, submit.action_id, submit.run_id) == (8, "submit_data_collection", "run-1")


def test_a_choice_knows_where_it_was_offered() -> None:
    card = Card(title="t", actions=[Action(action_id="go", label="走", payload={"a": 1})])
    (pick,) = render(card, ORIGIN, first=3).choices
    assert pick == Pick(
        number=3,
        event_id="event-1",
        session_id="wx-session:o",
        provider_id="plan",
        run_id="run-1",
        action_id="go",
        label="走",
        payload={"a": 1},
    )


def test_what_is_for_machines_is_left_out() -> None:
    progress = ProviderExtension(
        extension_kind="data_collection_progress",
        payload=ExtensionPayload(progress=Progress(step=1, total=2)),
    )
    assert words_of([Ack(message="一"), progress, Ack(), AssistantMessage(text="二\n")]) == "一\n\n二"
    assert words_of([progress]) == ""
