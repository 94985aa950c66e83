"""What people write while a menu is open: read as an answer, refused with the reason, or left to the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.rendering.menu_answers import Answer, Chosen, Closed, Told, read_answer
from uniassist.adapter_wechat.rendering.menus import Blank, Menu, Pick, Submit, still_open
from uniassist.contracts.courtesies import courtesy

NOW = 1_772_300_000_000
SENTENCES = Path(__file__).parent / "sentences" / "answers.tsv"


def pick(number: int, label: str) -> Pick:
    return Pick(
        number=number,
        event_id="q",
        session_id="s",
        provider_id="p",
        run_id="r",
        action_id=label,
        label=label,
        is_asked=True,
    )


def form(labels: tuple[str, ...], submit: str, goal: str | None = None) -> Menu:
    goal_label, due, *others = labels
    blanks = [
        Blank(number=1, event_id="f", name="goal", label=goal_label, required=True, longest=50, value=goal),
        Blank(number=2, event_id="f", name="due", label=due, kind="date"),
        Blank(
            number=3, event_id="f", name="people", label=others[0], kind="integer" if len(others) > 1 else "text"
        ),
    ]
    if len(others) > 1:
        moods = [("g", "好"), ("b", "坏")]
        blanks.append(Blank(number=4, event_id="f", name="mood", label=others[1], options=moods))
    ends = Submit(
        number=len(blanks) + 1,
        event_id="f",
        session_id="s",
        provider_id="p",
        run_id="r",
        action_id="submit",
        label=submit,
        payload={},
        title="信息",
    )
    return Menu(choices=[*blanks, ends], shown_at_ms=NOW)


ZH = ("目标", "日期", "人数", "心情")
MENUS = {
    "question": Menu(choices=[pick(1, "计划"), pick(2, "工作"), pick(3, "提醒")], shown_at_ms=NOW),
    "form": form(ZH, "提交"),
    "full": form(ZH, "提交", "学会游泳"),
    "english": form(("Goal", "Due date", "Constraints"), "Submit"),
}


def cases() -> list[tuple[str, str, str]]:
    lines = [line for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return [(menu, said.replace("\\n", "\n"), does) for menu, said, does in (line.split("\t") for line in lines)]


def values(menu: Menu) -> dict[str, str]:
    return {each.name: each.value for each in menu.choices if isinstance(each, Blank) and each.value is not None}


def what_it_does(menu: Menu, answer: Answer) -> str:
    match answer:
        case Chosen(choice=Pick(label=label)):
            return f"chooses {label}"
        case Chosen():
            return "submits"
        case Closed():
            return "closes"
        case Told(text=text, menu=after) if values(after) != values(menu):
            filled = " ".join(f"{name}={value}" for name, value in values(after).items())
            refused = [name for name, label in NAMES.items() if f"“{label}”" in text.split("好的，已记下")[0]]
            return f"refuses {' '.join(refused)} keeps {filled}" if refused else f"fills {filled}"
        case Told(text=text) if text.startswith(("没有", "There is no number")):
            return "no such number"
        case Told(text=text) if text.startswith(("还需要填写", "Still needed")):
            return "missing"
        case Told(text=text) if text.startswith("请告诉我选哪一个"):
            return "asks"
        case Told(text=text) if "即可填写" in text:
            return "explains"
        case Told(text=text):
            return f"refuses {' '.join(name for name, label in NAMES.items() if f'“{label}”' in text)}"
    return "none"


NAMES = dict(zip(("goal", "due", "people", "mood"), ZH, strict=True))


@pytest.mark.parametrize(("menu", "said", "does"), cases())
def test_what_a_message_does(menu: str, said: str, does: str) -> None:
    of = MENUS[menu]
    done = what_it_does(of, read_answer(of, said, NOW))
    # "好" is an option of the form, and says yes as well: what it is asked for comes first
    assert done == ("fills mood=g" if does == "submits-or-missing" else does.replace("\\n", "\n"))


@given(st.sampled_from(sorted(MENUS)), st.sampled_from([each for each in cases() if each[2] == "none"]))
def test_a_sentence_fits_no_menu_of_a_form(menu: str, case: tuple[str, str, str]) -> None:
    if courtesy(case[1]) in ("thanks", "greeting", "goodbye"):
        assert read_answer(MENUS[menu], case[1], NOW) is None, "a courtesy is never an answer"


_plain = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=60)


@given(_plain)
def test_what_is_entered_is_kept_to_the_letter_or_refused_with_the_reason(written: str) -> None:
    answer = read_answer(MENUS["form"], f"1：{written}", NOW)
    if isinstance(answer, Told) and values(answer.menu):
        assert values(answer.menu) == {"goal": written.strip()}
    elif isinstance(answer, Told):
        assert "“目标”" in answer.text
        assert len(written.strip()) > 50 or not written.strip(" \u3000")
    else:
        assert answer is None


@given(st.sampled_from([2, 3, 4]), _plain)
def test_a_value_that_does_not_fit_changes_nothing(number: int, written: str) -> None:
    answer = read_answer(MENUS["form"], f"{number}、{written}", NOW)
    if isinstance(answer, Told) and not values(answer.menu):
        assert answer.menu == MENUS["form"]
        assert answer.text


def test_what_waits_is_said_in_its_own_language() -> None:
    assert still_open(MENUS["form"]).startswith("“信息”还没提交：\n1. 目标（必填）\n")
    assert still_open(MENUS["form"]).endswith("不填了请回复“取消”。")
    assert still_open(MENUS["english"]).splitlines()[1:5] == [
        "1. Goal (required)",
        "2. Due date",
        "3. Constraints",
        "4. Submit",
    ]
    assert still_open(MENUS["question"]).startswith("还在等你选择：\n1. 计划\n")
    assert still_open(None) == ""
