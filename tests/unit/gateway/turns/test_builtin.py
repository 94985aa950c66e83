"""What the builtin chat says: who it is once, then something that fits."""

from __future__ import annotations

import pytest
from tests.unit.gateway.turns.book import NOW_MS

from uniassist.contracts.inputs import Attachment, UnifiedUserInput
from uniassist.gateway.providers.catalogue import Catalogue, Provider, Words
from uniassist.gateway.turns import builtin

PLAN = Provider(
    "plan",
    ("计划",),
    "http://plan",
    1,
    1.0,
    words=Words("计划", "Planning"),
    example_words=Words("帮我制定计划", "make a plan"),
)
MEMO = Provider("memo", ("备忘",), "http://memo", 1, 1.0)
AWAY = Provider("away", ("远",), None, 1, 1.0)


def answer(
    text: str | None,
    *,
    is_introduced: bool = True,
    locale: str = "zh-CN",
    providers: tuple[Provider, ...] = (PLAN,),
    talks_to: str | None = None,
) -> str:
    message = UnifiedUserInput(
        schema_version="v0",
        trace_id="t",
        user_id="u",
        session_id="s",
        source="app",
        text=text,
        attachments=[Attachment(id="a", type="image")] if text is None else None,
        locale=locale,
        timestamp_ms=NOW_MS,
    )
    return builtin.chat(message, Catalogue(providers), locale, is_introduced=is_introduced, talks_to=talks_to).text


def test_the_introduction_names_who_is_connected_and_gives_an_example() -> None:
    said = answer("今天天气怎么样", is_introduced=False, providers=(AWAY, PLAN, MEMO))
    assert said == "你好，我是 UniAssist。目前我能帮你的有：计划、memo。直接告诉我你想做什么，例如“帮我制定计划”。"


def test_it_is_said_again_only_to_who_asks() -> None:
    assert answer("今天天气怎么样") == "这个我还帮不上忙。目前我能帮你的有：计划，例如可以说“帮我制定计划”。"
    assert answer("你能做什么？").startswith("你好，我是 UniAssist")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("谢谢！", "不客气，有需要随时告诉我。"),
        ("Thank you.", "不客气，有需要随时告诉我。"),
        ("算了，没事了", "好的，有需要随时找我。"),
        ("ＯＫ～", "好的，有需要随时找我。"),
    ],
)
def test_courtesies_are_answered_in_kind(text: str, said: str) -> None:
    assert answer(text) == said


def test_a_courtesy_within_a_message_is_none() -> None:
    assert answer("好的，那帮我看看天气" * 5).startswith("这个我还帮不上忙")


def test_ok_as_the_first_word_is_introduced_to() -> None:
    assert answer("好的", is_introduced=False).startswith("你好，我是 UniAssist")


def test_english_is_answered_in_english() -> None:
    said = answer("what is the weather", locale="en-GB", providers=(PLAN, MEMO))
    assert (
        said == "I can't help with that yet. I can help you with: Planning, memo; for example, say “make a plan”."
    )


def test_nobody_connected_is_said_plainly() -> None:
    assert "没有接入" in answer("你好", providers=(AWAY,))


def test_an_attachment_alone_is_confirmed() -> None:
    assert answer(None) == "图片收到了，已保存在这次对话里，不过我目前只能读懂文字。想做什么，请用文字告诉我。"
    assert answer(None, locale="en", talks_to="Planning").endswith(
        "Planning is still waiting for your reply: please go on in words."
    )


def test_who_is_not_connected_is_said_with_who_is() -> None:
    said = builtin.not_connected("提醒", Catalogue((AWAY, PLAN)), "zh", is_all=True).text
    assert said == "“提醒”尚未接入，暂时无法处理。目前我能帮你的有：计划，例如可以说“帮我制定计划”。"
    for there, is_all in ((AWAY, True), (PLAN, False)):
        said = builtin.not_connected("Reminders", Catalogue((there,)), "en", is_all=is_all).text
        assert said == "Reminders is not connected yet."
