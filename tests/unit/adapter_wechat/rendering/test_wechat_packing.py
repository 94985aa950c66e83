"""Replies into messages: in order, within the limit, nothing twice, nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.rendering.packing import after, pack
from uniassist.adapter_wechat.rendering.splitting import size
from uniassist.store.wechat.people import Reply

LIMIT = 300


def reply(position: int, text: str) -> Reply:
    return Reply(f"e{position}", position, "s", "t", None, text, 0, 0, None, "waiting")


def replies(texts: list[str]) -> list[Reply]:
    return [reply(number, text) for number, text in enumerate(texts)]


def sent_one_after_the_other(waiting: list[Reply], most: int | None) -> list[str]:
    messages: list[str] = []
    while waiting:
        packed = pack(waiting, LIMIT, most=most)
        assert packed.pieces, "each message says something"
        messages.append(packed.text)
        changed = {piece.reply.event_id: after(piece, "sent") for piece in packed.pieces}
        waiting = [changed.get(each.event_id, each) for each in waiting]
        waiting = [each for each in waiting if each.state == "waiting"]
        assert packed.is_all == (not waiting) or most is not None
    return messages


TEXTS = st.lists(st.text(st.sampled_from("计划a。 \n"), min_size=1, max_size=400).filter(str.strip), max_size=6)


@given(texts=TEXTS, most=st.sampled_from([None, 1]))
def test_all_is_said_once_in_order_and_no_message_is_too_long(texts: list[str], most: int | None) -> None:
    messages = sent_one_after_the_other(replies([text.strip() for text in texts]), most)
    assert all(0 < size(message) <= LIMIT for message in messages)
    said = "".join(line for message in messages for line in message.splitlines() if not line.startswith("（"))
    assert "".join(said.split()) == "".join("".join(texts).split())


def test_short_replies_share_a_message_and_a_long_one_begins_its_own() -> None:
    waiting = replies(["一。", "二。", "三" * 150])
    packed = pack(waiting, LIMIT)
    assert packed.text == "一。\n\n二。"
    assert [piece.reply.event_id for piece in packed.pieces] == ["e0", "e1"]
    assert not packed.is_all


def test_a_message_takes_no_more_replies_than_asked_for() -> None:
    assert pack(replies(["一。", "二。"]), LIMIT, most=1).text == "一。"


def test_the_end_of_a_long_reply_shares_its_message_with_the_next() -> None:
    (first,) = pack(replies(["说一句话。" * 30, "下一条"]), LIMIT).pieces
    rest = after(first, "sent")
    assert (rest.state, rest.pieces) == ("waiting", 1)
    packed = pack([rest, reply(1, "下一条")], LIMIT)
    assert packed.text.startswith("（2/2）\n")
    assert packed.text.endswith("下一条")
    assert packed.is_all


def test_an_ending_says_that_there_is_more_only_when_there_is() -> None:
    assert pack(replies(["一。"]), LIMIT, ending="（还有）").text == "一。"
    packed = pack(replies(["一。" * 20, "二" * 90]), LIMIT, ending="（还有）")
    assert packed.text.endswith("\n\n（还有）")
    assert size(packed.text) <= LIMIT


def test_fences_are_not_shown() -> None:
    assert pack(replies(["看：\n```python\nx = 1\n```\n好"]), LIMIT).text == "看：\nx = 1\n好"
