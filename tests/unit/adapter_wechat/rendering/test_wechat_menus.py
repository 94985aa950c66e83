"""Answers in numbers: chosen, filled in, submitted; anything else is an ordinary message."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.rendering import menu_answers, menus
from uniassist.adapter_wechat.rendering.interactions import Origin, render
from uniassist.adapter_wechat.rendering.menu_answers import Chosen, Closed, Told
from uniassist.adapter_wechat.rendering.menus import Blank, Choice, Menu, Pick, Submit
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


def read(of: Menu, text: str) -> menu_answers.Answer:
    return menu_answers.read_answer(of, text, NOW)


def test_a_menu_of_yesterday_is_closed_and_says_so_once_to_who_answers_it() -> None:
    late = NOW + 24 * 3600 * 1000 + 1
    for text in ("好的", "取消", "今天天气怎么样"):
        assert menu_answers.read_answer(menu(pick(1)), text, late) is None
    told = menu_answers.read_answer(menu(pick(1)), "第1个", late)
    assert isinstance(told, Told)
    assert told.text.startswith("这个选项已经失效了")
    assert menus.dump(told.menu) is None


def test_a_form_is_filled_in_by_lines_and_submitted() -> None:
    filled = read(FORM, "1 学会游泳\n２：2026年3月1日\n3、坏")
    assert isinstance(filled, Told)
    assert filled.text == (
        "好的，已记下：\n1. GOAL：学会游泳\n2. DUE：2026-03-01（周日）\n3. MOOD：坏\n4. 提交\n"
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


def test_numbers_are_sent_as_numbers_and_what_is_none_is_refused_when_it_is_entered() -> None:
    form = menu(blank(1, "n", kind="integer"), blank(2, "x", kind="number"), blank(3, "m", kind="integer"), SUBMIT)
    filled = read(form, "1 3\n2 1.5\n3 几个")
    assert isinstance(filled, Told)
    assert filled.text.startswith("“M”需要是一个整数，例如 3。\n好的，已记下：")
    sent = read(filled.menu, "4")
    assert isinstance(sent, Chosen)
    assert sent.payload["values"] == {"n": 3, "x": 1.5}


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


def form_of(event_id: str, task: str, first: int = 1, **values: str) -> list[Choice]:
    submit = msgspec.structs.replace(
        SUBMIT, number=first + 1, event_id=event_id, payload={"taskId": task}, title=f"表单{task}"
    )
    return [
        Blank(number=first, event_id=event_id, name="goal", label="目标", value=values.get("goal")),
        submit,
    ]


def unasked(number: int, event_id: str) -> Pick:
    return msgspec.structs.replace(pick(number, "new_session:auto", event_id), provider_id=menus.BUILTIN)


def test_an_unasked_card_is_numbered_behind_what_is_open_and_takes_nothing_over() -> None:
    open_form = menus.shown(None, form_of("f1", "1", goal="学会游泳"), NOW)
    for at in range(3):  # however many there are
        first = menus.first_number(open_form, menus.BUILTIN, is_form=False)
        assert first == 3
        open_form = menus.shown(open_form, [unasked(first, f"card{at}")], NOW)
    assert [each.number for each in open_form.choices] == [1, 2, 3]
    sent = read(open_form, "好的")
    assert isinstance(sent, Chosen)
    assert sent.payload["values"] == {"goal": "学会游泳"}
    assert read(open_form, "3") == Chosen(open_form.choices[2], {"n": 3})  # type: ignore[arg-type]


def test_an_unasked_card_leaves_a_providers_question_alone_and_another_question_does_not() -> None:
    question = menus.shown(None, [pick(1), pick(2)], NOW)
    assert menus.first_number(question, menus.BUILTIN, is_form=False) == 3
    assert menus.first_number(question, "plan", is_form=False) == 1
    assert menus.first_number(None, menus.BUILTIN, is_form=False) == 1


def test_a_form_that_is_overtaken_can_be_called_back_with_what_was_filled_in() -> None:
    first = menus.shown(None, form_of("f1", "1", goal="学会游泳"), NOW)
    second = form_of("f2", "2")
    gone = menus.overtaken(first, second)
    assert gone is not None
    assert gone.title == "表单1"
    both = menus.load(menus.dump(menus.shown(first, second, NOW)))
    assert both is not None
    assert [each.event_id for each in both.choices] == ["f2", "f2"]
    back = read(both, "返回")
    assert isinstance(back, Told)
    assert back.text.startswith("回到“表单1”：\n1. 目标：学会游泳\n2. 提交")
    again = read(back.menu, "back")
    assert isinstance(again, Told)
    assert again.text.startswith("回到“表单2”")
    closed = read(back.menu, "取消")
    assert isinstance(closed, Closed)
    assert closed.text == "好的，“表单1”已关闭。\n（之前的“表单2”还没提交，回复“返回”可以继续填写。）"
    assert menus.submit_of(closed.menu.choices) is None


def test_a_form_that_is_asked_again_keeps_what_was_filled_in_and_overtakes_nothing() -> None:
    first = menus.shown(None, form_of("f1", "1", goal="学会游泳"), NOW)
    again = menus.inherited(first, form_of("f2", "1"))
    assert menus.overtaken(first, again) is None
    menu_ = menus.shown(first, again, NOW)
    assert [(each.event_id, getattr(each, "value", "")) for each in menu_.choices] == [
        ("f2", "学会游泳"),
        ("f2", ""),
    ]
    corrected = menus.inherited(first, form_of("f2", "1", goal="学会跳水"))
    assert isinstance(corrected[0], Blank)
    assert corrected[0].value == "学会跳水"


@pytest.mark.parametrize(
    ("came", "written", "now", "is_long", "kept"),
    [
        ("学习计划", "学会游泳", "学习计划", False, "学会游泳"),
        ("学习计划", "学会游泳", "学会跳水", False, "学会跳水"),
        ("学习计划", "学习计划", "学会跳水", True, "学会跳水"),
        (None, "两位，预算五千", "太紧了", True, "两位，预算五千；太紧了"),
        ("太紧了", "两位；太紧了", "太紧了；有点贵", True, "两位；太紧了；有点贵"),
        ("太紧了", "两位；太紧了", "两位；太紧了", True, "两位；太紧了"),
        (None, "两位", None, True, "两位"),
        (None, "一二三四五六七八九十", "太紧了", True, "一二三四五六七八九十；太"),
    ],
)
def test_what_the_person_wrote_stays_where_the_form_says_what_it_said_before(
    came: str | None, written: str, now: str | None, is_long: bool, kept: str
) -> None:
    def asked(event_id: str, default: str | None, value: str | None) -> list[Choice]:
        goal, submit = form_of(event_id, "1")
        assert isinstance(goal, Blank)
        changed = msgspec.structs.replace(goal, value=value, default=default, is_long=is_long, longest=12)
        return [changed, submit]

    first = menus.shown(None, asked("f1", came, written), NOW)
    again = menus.inherited(first, asked("f2", now, now))[0]
    assert isinstance(again, Blank)
    assert again.value == kept


def test_of_forms_in_forms_the_last_ones_are_kept() -> None:
    open_forms = menus.shown(None, form_of("f0", "0"), NOW)
    for at in range(1, 9):
        open_forms = menus.shown(open_forms, form_of(f"f{at}", str(at)), NOW)
    assert [menus.submit_of(each).title for each in open_forms.aside] == ["表单5", "表单6", "表单7"]  # type: ignore[union-attr]


def test_a_yes_takes_the_only_choice_and_where_there_are_more_it_is_asked_which() -> None:
    assert isinstance(read(menu(pick(1)), "好的"), Chosen)
    assert isinstance(read(menu(msgspec.structs.replace(pick(1), label="是"), pick(2)), "对的"), Chosen)
    asked = menu(*(msgspec.structs.replace(pick(at), is_asked=True) for at in (1, 2)))
    answer = read(asked, "ok")
    assert isinstance(answer, Told)
    assert answer.text == "请告诉我选哪一个：\n1. 选项1\n2. 选项2"
    assert read(menu(pick(1), pick(2)), "ok") is None, "nobody asked"


@given(st.text(max_size=80))
def test_no_text_breaks_a_menu_and_what_is_kept_reads_the_same(text: str) -> None:
    for of in (FORM, menu(pick(1), pick(2))):
        answer = read(of, text)
        again = menu_answers.load_answer(menu_answers.dump_answer(answer))
        if isinstance(answer, Told | Closed):
            assert isinstance(again, type(answer))
            assert again.text == answer.text
        else:
            assert again == answer
        assert menus.load(menus.dump(of)) == of


@pytest.mark.parametrize("text", ["好的", "嗯", "ok", "谢谢"])
def test_a_yes_takes_no_offer_but_its_number_and_name_do(text: str) -> None:
    offered = msgspec.structs.replace(pick(1), is_offer=True)
    assert read(menu(offered), text) is None
    for named in ("1", "第一个", offered.label):
        assert isinstance(read(menu(offered), named), Chosen)
