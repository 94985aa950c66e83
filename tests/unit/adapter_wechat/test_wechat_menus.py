"""Answers in numbers: chosen, filled in, submitted; anything else is an ordinary message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat import menus
from uniassist.adapter_wechat.menus import Blank, Choice, Chosen, Menu, Pick, Submit, Told
from uniassist.adapter_wechat.plain_text import Origin, render
from uniassist.contracts.interaction import (
    Action,
    ExtensionPayload,
    Field,
    Form,
    ProviderExtension,
    RequestClarification,
)
from uniassist.contracts.interaction import Choice as Offered

NOW = 1_000_000_000


def menu(*choices: Choice) -> Menu:
    return Menu(choices=list(choices), shown_at_ms=NOW)


def pick(number: int, action_id: str = "go", event_id: str = "e1") -> Pick:
    return Pick(
        number=number,
        event_id=event_id,
        session_id="s",
        provider_id="p",
        run_id="r",
        action_id=action_id,
        label=f"选项{number}",
        payload={"n": number},
    )


def blank(number: int, name: str, **more: object) -> Blank:
    return Blank(number=number, event_id="f1", name=name, label=name.upper(), **more)  # type: ignore[arg-type]


SUBMIT = Submit(
    number=4,
    event_id="f1",
    session_id="s",
    provider_id="p",
    run_id="r",
    action_id="submit",
    label="提交",
    payload={"formId": "f"},
)
FORM = menu(
    blank(1, "goal", required=True),
    blank(2, "due", kind="date"),
    blank(3, "mood", options=[("g", "好"), ("b", "坏")]),
    SUBMIT,
)


def read(of: Menu, text: str) -> menus.Answer:
    return menus.read_answer(of, text, NOW)


@pytest.mark.parametrize("text", ["2", " 2 ", "２", "2.", "2。", "2、", "2)"])
def test_a_number_chooses(text: str) -> None:
    answer = read(menu(pick(1), pick(2, "stop")), text)
    assert isinstance(answer, Chosen)
    assert (answer.choice.action_id, answer.payload) == ("stop", {"n": 2})


@pytest.mark.parametrize(
    "text", ["", "0", "3", "12", "第2个", "2026", "2026-03-01", "2 个问题", "二", "2 2", "1\n2", "-1", "1.5", "2?"]
)
def test_anything_else_is_an_ordinary_message(text: str) -> None:
    assert read(menu(pick(1), pick(2)), text) is None


def test_a_menu_of_yesterday_is_closed() -> None:
    assert menus.read_answer(menu(pick(1)), "1", NOW + 24 * 3600 * 1000 + 1) is None


def test_a_form_is_filled_in_by_lines_and_submitted() -> None:
    filled = read(FORM, "1 学会游泳\n２：2026年3月1日\n3、坏")
    assert isinstance(filled, Told)
    assert filled.text == (
        "好的，已记下：\n1. GOAL：学会游泳\n2. DUE：2026-03-01\n3. MOOD：坏\n4. 提交\n"
        "要修改请回复“序号 内容”，确认无误请回复 4。"
    )
    sent = read(filled.menu, "4")
    assert isinstance(sent, Chosen)
    assert sent.choice == SUBMIT
    assert sent.payload == {"formId": "f", "values": {"goal": "学会游泳", "due": "2026-03-01", "mood": "b"}}


def test_what_was_filled_in_is_kept_whole_and_shown_clipped() -> None:
    filled = read(FORM, f"1 {'学' * 900}")
    assert isinstance(filled, Told)
    assert f"1. GOAL：{'学' * 59}…\n" in filled.text
    sent = read(filled.menu, "4")
    assert isinstance(sent, Chosen)
    assert sent.payload["values"] == {"goal": "学" * 900}


def test_an_option_may_be_named_by_its_number_and_must_be_one() -> None:
    filled = read(FORM, "3 1")
    assert isinstance(filled, Told)
    assert "3. MOOD：好" in filled.text
    wrong = read(FORM, "3 一般")
    assert wrong == Told("“MOOD”请从这些选项中选择：1 好 / 2 坏。", FORM)


def test_what_is_required_must_be_there_to_submit() -> None:
    answer = read(FORM, "4")
    assert isinstance(answer, Told)
    assert answer.text.startswith("还需要填写：GOAL。\n1. GOAL（必填）")


def test_the_number_of_a_blank_alone_says_how_to_fill_it_in() -> None:
    answer = read(FORM, "2")
    assert answer == Told("请把序号和内容一起回复，例如“2 2026-03-01”，即可填写“DUE”。", FORM)


def test_numbers_are_sent_as_numbers_and_what_is_none_as_it_was_written() -> None:
    form = menu(blank(1, "n", kind="integer"), blank(2, "x", kind="number"), blank(3, "m", kind="integer"), SUBMIT)
    filled = read(form, "1 3\n2 1.5\n3 几个")
    assert isinstance(filled, Told)
    sent = read(filled.menu, "4")
    assert isinstance(sent, Chosen)
    assert sent.payload["values"] == {"n": 3, "x": 1.5, "m": "几个"}


def test_a_later_menu_replaces_the_earlier_unless_it_goes_on_counting() -> None:
    first, more, other = [pick(1), pick(2)], [pick(3, event_id="e2")], [pick(1, "other", "e3")]
    both = menus.shown(menus.shown(None, first, NOW), more, NOW + 5)
    assert ([each.number for each in both.choices], both.shown_at_ms) == ([1, 2, 3], NOW + 5)
    assert menus.shown(both, other, NOW).choices == other
    assert [each.number for each in menus.without(both, "e1").choices] == [3]


def test_a_question_and_a_form_of_a_provider_can_be_answered() -> None:
    origin = Origin("e", "s", "p", "r")
    question = RequestClarification(question="?", choices=[Offered(key="switch_provider:plan", label="plan")])
    chosen = read(menu(*render(question, origin).choices), "1")
    assert isinstance(chosen, Chosen)
    assert chosen.choice.action_id == "switch_provider:plan"
    form = Form(
        form_id="f",
        fields=[Field(field_id="x", label="X", kind="text", required=True)],
        submit=Action(action_id="done", label="完成", payload={"k": 1}),
    )
    filled = read(menu(*render(form, origin).choices), "1 内容")
    assert isinstance(filled, Told)
    sent = read(filled.menu, "2")
    assert isinstance(sent, Chosen)
    assert (sent.choice.action_id, sent.payload) == ("done", {"k": 1, "formId": "f", "values": {"x": "内容"}})


def test_an_enumeration_of_a_schema_offers_its_values() -> None:
    payload = ExtensionPayload(
        provider_id="p",
        task_id="t",
        data_schema={"properties": {"n": {"type": "integer", "enum": [10, 20], "title": "数"}}},
        ui_schema={},
        status="pending",
    )
    event = ProviderExtension(extension_kind="data_collection_request", payload=payload)
    rendered = render(event, Origin("e", "s", "p", "r"))
    assert rendered.text.startswith("1. 数（1 10 / 2 20）\n2. 提交\n")
    filled = read(menu(*rendered.choices), "1 2")
    assert isinstance(filled, Told)
    sent = read(filled.menu, "2")
    assert isinstance(sent, Chosen)
    assert sent.payload == {"taskId": "t", "values": {"n": 20}}


@given(st.text(max_size=80))
def test_no_text_breaks_a_menu_and_what_is_kept_reads_the_same(text: str) -> None:
    for of in (FORM, menu(pick(1), pick(2))):
        answer = read(of, text)
        again = menus.load_answer(menus.dump_answer(answer))
        if isinstance(answer, Told):
            assert isinstance(again, Told)
            assert again.text == answer.text
        else:
            assert again == answer
        assert menus.load(menus.dump(of)) == of
