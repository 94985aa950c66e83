"""What the platform pushes beside plain text, as the gateway's inputs."""

from __future__ import annotations

import pytest
from tests.unit.adapter_wechat.inbound.test_wechat_messages import push

from uniassist.adapter_wechat.inbound.gateway_inputs import input_of, input_of_event, said_in


@pytest.mark.parametrize(
    "heard", ["明天九点提醒我开会。", "第二个", "確認。", "Plan a trip to Osaka.", "两位大人，一个小孩。"]
)
def test_a_voice_that_was_recognised_is_text_with_the_voice_attached(heard: str) -> None:
    made = input_of(push(MsgType="voice", Content="", MediaId="m-1", Recognition=heard))
    assert made.text == heard
    assert made.attachments is not None
    assert [(each.id, each.type) for each in made.attachments] == [("m-1", "audio")]


@pytest.mark.parametrize("heard", ["", " ", "\u3000"])
def test_a_voice_that_was_not_is_none(heard: str) -> None:
    voice = push(MsgType="voice", Content="", MediaId="m-1", Recognition=heard)
    assert said_in(voice) is None
    assert input_of(voice).text is None


@pytest.mark.parametrize(
    "sentence",
    [
        "【收到不支持的消息类型，暂无法显示】",
        "[收到不支持的消息类型，暂无法显示]",
        "收到不支持的消息类型,暂无法显示",
        " 【收到不支持的消息类型，暂无法显示】\n",
    ],
)
def test_the_sentence_in_place_of_a_sticker_is_not_what_somebody_wrote(sentence: str) -> None:
    sticker = push(Content=sentence)
    assert (sticker.kind, said_in(sticker)) == ("sticker", None)
    raw = input_of(sticker).raw
    assert raw["Content"] == sentence, "it is kept all the same"


@pytest.mark.parametrize("text", ["为什么显示【收到不支持的消息类型，暂无法显示】", "[微笑]", "/::)"])
def test_a_sentence_about_stickers_and_the_platforms_own_faces_are_text(text: str) -> None:
    assert said_in(push(Content=text)) == text


def test_a_message_without_an_id_has_one_that_its_repetitions_share() -> None:
    first, again, other = push(MsgId=""), push(MsgId=""), push(MsgId="", Content="再见")
    assert first.message_id is not None
    assert first.message_id == again.message_id != other.message_id
    assert input_of(first).trace_id == input_of(again).trace_id


@pytest.mark.parametrize("kind", ["", "miniprogrampage", "file", "transfer_biz", "名片", "x" * 400])
def test_a_message_of_an_unknown_type_is_kept(kind: str) -> None:
    made = input_of(push(MsgType=kind, Content="", Title="小程序"))
    assert (made.text, made.raw["Title"]) == (None, "小程序")


def event(name: str, key: str) -> dict[str, str]:
    return {"MsgType": "event", "Content": "", "MsgId": "", "Event": name, "EventKey": key}


def test_a_click_says_its_key_and_a_scanned_code_is_kept() -> None:
    click = input_of_event(push(**event("CLICK", "帮我制定一个学习计划")), "k" * 64)
    assert click is not None
    assert (click.text, click.raw["Event"]) == ("帮我制定一个学习计划", "CLICK")
    assert click.channel is not None
    assert click.channel.message_id == f"event-{'k' * 40}"
    for name, key in (("SCAN", "42"), ("subscribe", "qrscene_42")):
        scanned = input_of_event(push(**event(name, key)), "k" * 64)
        assert scanned is not None
        assert (scanned.text, scanned.raw["EventKey"]) == (None, key)


@pytest.mark.parametrize(
    ("name", "key"), [("subscribe", ""), ("CLICK", ""), ("VIEW", "https://a.example"), ("LOCATION", ""), ("", "")]
)
def test_other_events_say_nothing_to_the_gateway(name: str, key: str) -> None:
    assert input_of_event(push(**event(name, key)), "k" * 64) is None
