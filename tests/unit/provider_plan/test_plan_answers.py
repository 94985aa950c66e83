"""Invoke and interact as functions: the events, in the contract's shapes, the same for the same request."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.provider_plan.plan_requests import english, interaction, invocation

from uniassist.contracts import codec
from uniassist.contracts.interaction import AssistantMessage, ProviderExtension
from uniassist.contracts.provider import InteractResponse, InvokeResponse
from uniassist.provider_plan import answers
from uniassist.provider_plan.talk import task_id


def extension(event: object) -> ProviderExtension:
    assert isinstance(event, ProviderExtension)
    return event


def message(event: object) -> str:
    assert isinstance(event, AssistantMessage)
    return event.text


def form_of(answer: InvokeResponse) -> dict[str, Any]:
    assert answer.immediate_events is not None
    (asked,) = answer.immediate_events
    schema = extension(asked).payload.data_schema
    assert schema is not None
    return schema


def test_an_invocation_is_acknowledged_and_the_form_shown() -> None:
    answer = answers.invoke(invocation())
    assert (answer.run_id, answer.provider_id, answer.ack.message) == ("run-1", "plan", "好的，我来帮你制定计划。")
    assert answer.immediate_events is not None
    payload = extension(answer.immediate_events[0]).payload
    assert (payload.provider_id, payload.status) == ("plan", "pending")
    assert payload.task_id == task_id("run-1")
    assert form_of(answer)["required"] == ["goal"]


def test_what_was_said_already_is_filled_in_and_named() -> None:
    answer = answers.invoke(invocation("帮我计划学会游泳，明天开始"))
    fields = form_of(answer)["properties"]
    assert (fields["goal"]["default"], fields["dueDate"]["default"]) == ("学会游泳", "2026-02-26")
    assert "default" not in fields["constraints"]
    assert answer.ack.message is not None
    assert "目标、期望完成日期" in answer.ack.message


def test_the_language_is_the_contexts_else_the_inputs() -> None:
    assert form_of(answers.invoke(invocation(context=english())))["properties"]["goal"]["title"] == "Goal"
    assert form_of(answers.invoke(invocation(input={"locale": "en"})))["properties"]["goal"]["title"] == "Goal"
    both = answers.invoke(invocation(context=english(), input={"locale": "zh-CN"}))
    assert form_of(both)["properties"]["goal"]["title"] == "Goal"


def test_a_good_submission_ends_with_result_and_summary() -> None:
    values = {"goal": "学会游泳", "dueDate": "2026-06-01", "constraints": "每周两次"}
    progress, result, summary = answers.interact(interaction({"values": values})).events
    assert extension(progress).extension_kind == "data_collection_progress"
    assert extension(result).extension_kind == "data_collection_result"
    assert extension(result).payload.values == values
    assert extension(result).payload.status == "completed"
    said = message(summary)
    assert said.startswith("计划已确认。\n“学会游泳”的计划：2月25日周三 至 6月1日周一\n")
    assert "【起步】\n1. " in said
    assert said.endswith("记着你说的：每周两次")


def test_a_bad_submission_names_the_field_and_keeps_what_was_good() -> None:
    said, asked = answers.interact(interaction({"goal": "学会游泳", "dueDate": "soon"}, context=english())).events
    assert message(said) == (
        "Almost there: “Due date” must be a date, such as 2026-03-01 or “next Friday”. "
        "Please correct it and submit again."
    )
    payload = extension(asked).payload
    assert payload.status == "in_progress"
    assert payload.task_id == task_id("run-1")
    assert payload.data_schema is not None
    assert payload.data_schema["properties"]["goal"]["default"] == "学会游泳"
    assert "default" not in payload.data_schema["properties"]["dueDate"]


def test_an_action_with_a_suffix_is_a_submission_too() -> None:
    events = answers.interact(interaction({"goal": "x1"}, "submit_data_collection:plan-1")).events
    assert [type(event) for event in events] == [ProviderExtension, ProviderExtension, AssistantMessage]


def test_any_other_action_is_told_what_can_be_done() -> None:
    (said,) = answers.interact(interaction(None, "dance")).events
    assert "请补充计划信息" in message(said)


def test_braces_in_what_a_person_wrote_stay_as_they_are() -> None:
    *_, summary = answers.interact(interaction({"goal": "{field} {0} {lines}"})).events
    assert "“{field} {0} {lines}”的计划" in message(summary)


@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200),
    run_id=st.text(st.characters(codec="utf-8"), min_size=1, max_size=256),
)
def test_every_invocation_has_one_answer_in_the_contracts_shape(text: str, run_id: str) -> None:
    request = invocation(text, run={"runId": run_id})
    raw = codec.encode(answers.invoke(request))
    assert raw == codec.encode(answers.invoke(request))
    if "\0" not in run_id:
        assert codec.decode(raw, InvokeResponse).run_id == run_id


@given(
    payload=st.dictionaries(
        st.sampled_from(["goal", "dueDate", "constraints", "values"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40) | st.integers() | st.none(),
    ),
    action=st.sampled_from(["submit_data_collection", "other"]),
)
def test_every_interaction_has_one_answer_in_the_contracts_shape(payload: dict[str, Any], action: str) -> None:
    request = interaction(payload, action)
    raw = codec.encode(answers.interact(request))
    assert raw == codec.encode(answers.interact(request))
    assert codec.decode(raw, InteractResponse).events
