"""What a phone can't show isn't sent, and nobody gets a message in which nothing can be seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.inbound.messages import read_fields, read_push, text_reply
from uniassist.adapter_wechat.outbound.passive_reply import words_of
from uniassist.adapter_wechat.rendering.showable import showable
from uniassist.contracts.interaction import AssistantMessage

PUSH = read_push(
    read_fields(
        b"<xml><ToUserName>a</ToUserName><FromUserName>o</FromUserName><CreateTime>1</CreateTime>"
        b"<MsgType>text</MsgType><Content>x</Content><MsgId>1</MsgId></xml>"
    )
)


INVISIBLE = [
    "",
    " \n",
    "\x00\x01\x1b",
    "\u200b\u200d\ufeff",
    "\x07 \u00a0\u3000",
    "\ufe0f",
    "\u2800\u3164",
    "\ud800",
]


@pytest.mark.parametrize("text", INVISIBLE, ids=ascii)
def test_a_text_in_which_nothing_can_be_seen_is_empty(text: str) -> None:
    assert showable(text) == ""
    assert words_of([AssistantMessage(text=text), AssistantMessage(text="好")]) == "好"


def test_what_joins_and_varies_characters_stays() -> None:
    for text in ("👨‍👩‍👧", "4️⃣", "क्‍ष", "一\n\n\t二\r\n三", "a\u200bb"):
        assert showable(text) == text


def test_control_characters_go_from_between_words() -> None:
    assert showable("\x1b[1m好\x00的\uffff") == "[1m好的"


@given(st.text())
def test_what_is_shown_is_what_the_platform_reads(text: str) -> None:
    shown = showable(text)
    reply = text_reply(PUSH, shown, now_seconds=1, as_json=False)
    assert read_fields(reply)["Content"] == shown.replace("\r\n", "\n").replace("\r", "\n")
