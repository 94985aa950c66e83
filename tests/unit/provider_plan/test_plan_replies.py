"""Replies to the plan's form: what they change is said and shown, and what isn't read is asked back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.provider_plan.plan_requests import interaction, invocation

from uniassist.contracts import codec
from uniassist.contracts.interaction import ProviderExtension
from uniassist.contracts.provider import InvokeRequest, InvokeResponse
from uniassist.provider_plan import answers, reading
from uniassist.provider_plan.talk import task_id

REPLIES = Path(__file__).parent / "replies.tsv"
AT_MS = 1_772_000_000_000  # 2026-02-25


def cases() -> list[list[str]]:
    lines = REPLIES.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("goal", "said", "read"), cases())
def test_what_a_reply_is_read_as(goal: str, said: str, read: str) -> None:
    before = goal if goal not in ("asked", "known") else ""
    found = reading.read_reply(said, at_ms=AT_MS, timezone=None, wants_goal=goal == "asked", before=before)
    assert " ".join(f"{name}={value}" for name, value in found.items()) == ("" if read == "-" else read)


def reply(before: InvokeResponse, text: str, number: int) -> InvokeResponse:
    assert before.expects_reply is not None
    run = {"runId": f"run-{number}", "continues": before.run_id, "hint": before.expects_reply.hint}
    asked = codec.encode(invocation(text, run=run))
    return answers.invoke(codec.decode(asked, InvokeRequest))


def defaults(answer: InvokeResponse) -> tuple[str, dict[str, str]]:
    assert answer.immediate_events is not None
    [form] = answer.immediate_events
    assert isinstance(form, ProviderExtension)
    assert form.payload.data_schema is not None
    fields = form.payload.data_schema["properties"]
    known = {name: field["default"] for name, field in fields.items() if "default" in field}
    return str(form.payload.task_id), known


def test_replies_go_on_with_the_same_form_and_what_was_said_before() -> None:
    first = answers.invoke(invocation("帮我计划学会游泳"))
    second = reply(first, "国庆节", 2)
    third = reply(second, "太紧了", 3)
    assert second.ack.message == "好的，已按你说的更新：期望完成日期 2026-10-01（周四），请核对。"
    assert defaults(third) == (
        task_id("run-1"),
        {"goal": "学会游泳", "dueDate": "2026-10-01", "constraints": "太紧了"},
    )


def test_what_is_not_read_is_asked_back_once_and_then_nothing_is_expected() -> None:
    missed = reply(answers.invoke(invocation("帮我计划学会游泳")), "蓝色的", 2)
    assert missed.ack.message is not None
    assert missed.ack.message.startswith("这句话我还没读懂")
    assert missed.immediate_events == [], "the form that is open isn't overtaken"
    again = reply(missed, "还是蓝色的", 3)
    assert again.ack.message is not None
    assert again.ack.message.startswith("还是没读懂")
    assert again.expects_reply is None
    read = reply(missed, "国庆节", 3)
    assert defaults(read)[1] == {"goal": "学会游泳", "dueDate": "2026-10-01"}


def test_a_hint_that_is_not_ours_begins_anew() -> None:
    for hint in (None, "", "{", "7", '{"taskId": 1}'):
        run = {"runId": "run-9", "continues": "run-1", "hint": hint}
        answer = answers.invoke(codec.decode(codec.encode(invocation("国庆节", run=run)), InvokeRequest))
        assert defaults(answer) == (task_id("run-1"), {"dueDate": "2026-10-01"})


def test_a_submission_keeps_its_forms_name_and_a_refused_one_expects_a_reply() -> None:
    task = task_id("run-1")
    bad = answers.interact(interaction({"taskId": task, "values": {"goal": "游泳", "dueDate": "下辈子"}}))
    assert bad.expects_reply is not None
    assert task in (bad.expects_reply.hint or "")
    good = answers.interact(interaction({"taskId": task, "values": {"goal": "游泳"}}))
    tasks = {each.payload.task_id for each in good.events if isinstance(each, ProviderExtension)}
    assert tasks == {task}
