"""Interactions as text: menus numbered, machines' events left out, never too long, never cut inside a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.plain_text import MAX_BYTES, cut, render, reply_text, without_markdown
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

TEXT = st.text(st.characters(codec="utf-8"))
LONG = st.text(st.sampled_from("计划a。.！ \n🎉é") | st.characters(codec="utf-8"), min_size=20, max_size=400)


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
            Card(
                title="建议切换",
                body="更像工作",
                actions=[Action(action_id="a", label="切换"), Action(action_id="b", label="不")],
            ),
            "建议切换\n更像工作\n1. 切换\n2. 不",
        ),
        (Card(title="只有标题"), "只有标题"),
        (
            Form(
                form_id="f",
                title="信息",
                fields=[Field(field_id="x", label="姓名", kind="text")],
                submit=Action(action_id="s", label="提交"),
            ),
            "信息\n1. 姓名",
        ),
        (Nav(label="打开", href="https://a.example/b"), "打开：https://a.example/b"),
        (
            RequestClarification(
                question="哪个？", choices=[Choice(key="a", label="计划"), Choice(key="b", label="工作")]
            ),
            "哪个？\n1. 计划\n2. 工作",
        ),
        (ErrorNotice(user_message="出错了", debug_message="trace"), "出错了"),
        (asked(), ""),
        (asked(title="空", properties={}), "空"),
        (asked(title=7, properties={"a": 7}, required="a"), "1. a"),
    ],
)
def test_each_interaction_reads_well(event: InteractionEvent, text: str) -> None:
    assert render(event) == text


def test_the_form_of_a_plan_reads_well() -> None:
    payload = ExtensionPayload(
        provider_id="plan",
        data_schema=form.data_schema(None, {"dueDate": "2026-03-01"}),
        ui_schema={"ui:order": ["dueDate", "unknown", 7, "goal"]},
        status="pending",
    )
    event = ProviderExtension(extension_kind="data_collection_request", payload=payload)
    assert render(event) == "请补充计划信息\n1. 期望完成日期：2026-03-01\n2. 目标（必填）\n3. 限制条件"


def test_what_is_for_machines_is_left_out() -> None:
    progress = ProviderExtension(
        extension_kind="data_collection_progress",
        payload=ExtensionPayload(progress=Progress(step=1, total=2)),
    )
    assert reply_text([Ack(message="一"), progress, Ack(), AssistantMessage(text="二\n")]) == "一\n\n二"
    assert reply_text([progress]) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# 计划\n\n**第一**步 `跑步`", "计划\n\n第一步 跑步"),
        ("见[文档](https://a.example/x)。", "见文档（https://a.example/x）。"),
        ("![](https://a.example/p.png)", "https://a.example/p.png"),
        ("- 一\n* 二\n  + 三", "· 一\n· 二\n  · 三"),
        ("```python\nx = a * b * c\n```\n完", "x = a * b * c\n完"),
        ("2 * 3 ** 2, a_b__c", "2 * 3 ** 2, a_b__c"),
    ],
)
def test_markdown_becomes_words(text: str, words: str) -> None:
    assert without_markdown(text) == words


@given(text=LONG, limit=st.integers(0, 600))
def test_a_cut_text_is_a_beginning_within_the_limit(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short.encode()) <= limit
    if len(text.encode()) <= limit:
        assert short == text
    else:
        assert text.startswith(short.removesuffix("…"))


def test_a_cut_is_made_where_a_sentence_or_line_ends() -> None:
    assert cut("第一句话说完了。第二句话还没有说完", 36) == "第一句话说完了。…"
    assert cut("one line\nanother line that goes on", 20) == "one line…"
    assert cut("version 1.2.3 is out and more", 14) == "version 1.2…"


def test_a_cut_never_leaves_half_a_url() -> None:
    assert cut("看这里 https://a.example/a-long-path 然后", 30) == "看这里…"


@given(events=st.lists(TEXT.map(lambda text: AssistantMessage(text=text, markdown=True)), max_size=5))
def test_a_reply_always_fits(events: list[AssistantMessage]) -> None:
    assert len(reply_text(events).encode()) <= MAX_BYTES


def test_a_hostile_text_is_rendered_in_no_time() -> None:
    import time

    began = time.monotonic()
    for text in (
        "[" * 300_000,
        "**a" * 100_000,
        "`" * 300_000,
        "[a](" * 100_000,
        "https://" * 60_000,
        "- " * 200_000,
        " \n" * 200_000,
    ):
        reply_text([AssistantMessage(text=text, markdown=True)])
    assert time.monotonic() - began < 5
