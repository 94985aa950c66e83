"""Who has the floor: a reply goes to whom it replies to, until another clearly wins, or it ends."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.gateway.turns.book import NOW_MS, Book, decoded, ingest, interact

from uniassist.contracts import codec
from uniassist.contracts.interaction import AssistantMessage
from uniassist.contracts.provider import ExpectsReply
from uniassist.gateway.provider_answer import ProviderAnswer, request_of
from uniassist.gateway.providers.catalogue import Catalogue, Provider
from uniassist.gateway.providers.kinds.kind import Said
from uniassist.gateway.turns.turn import Turn

MINUTE_MS = 60_000
TALKERS = Catalogue(
    (
        Provider("plan", ("计划", "安排", "plan"), "http://plan", 1, 1.0),
        Provider("work", ("工作", "任务", "work"), "http://work", 1, 1.0),
    )
)


class Talk:
    """One conversation, at a clock of its own."""

    def __init__(self) -> None:
        self.book = Book()
        self.now_ms = NOW_MS

    def say(self, text: str, **more: Any) -> dict[str, Any]:
        turn = ingest(text, catalogue=TALKERS, at_ms=self.now_ms, **more)
        return decoded(self.book.commit(turn, now_ms=self.now_ms)[0])

    def answer(self, expects: ExpectsReply | None = None, *, text: str | None = "几号去？") -> None:
        """The provider answers the call that is owed."""
        call = self.book.calls[-1]
        said = Said([AssistantMessage(text=text)], expects) if text is not None else None
        answer = ProviderAnswer(call, request_of(call), said, "计划")
        turn = Turn("s", answer.decide, run_id=call.run_id, call_id=call.call_id, follows_successor=False)
        assert self.book.commit(turn, now_ms=self.now_ms) == [b""]

    def asked(self, expects: ExpectsReply | None = None) -> str:
        """A plan is begun and its provider expects a reply; the run."""
        run_id: str = self.say("帮我做旅行计划")["runs"][0]["runId"]
        self.answer(expects or ExpectsReply())
        return run_id


def goes_to(ack: dict[str, Any]) -> list[str]:
    return [run["providerId"] for run in ack["runs"]]


@pytest.mark.parametrize("text", ["国庆节", "太紧了", "make it Osaka instead", "好的", "不用了", "3", "两个大人？"])
def test_a_reply_goes_to_who_expects_it_and_the_decision_says_so(text: str) -> None:
    talk = Talk()
    run_id = talk.asked(ExpectsReply(hint="when"))
    ack = talk.say(text)
    assert goes_to(ack) == ["plan"]
    routing = ack["routing"]
    assert (routing["fallback"], routing["requiresUserConfirmation"]) == ("none", False)
    assert routing["candidates"][0]["reason"] == f"continues {run_id}"
    request = codec.decode(talk.book.calls[-1].request.encode(), dict[str, Any])
    assert request["run"]["continues"] == run_id
    assert request["run"]["hint"] == "when"
    assert request["input"]["text"] == text, "as it was written"
    assert request["run"]["runId"] != run_id


@pytest.mark.parametrize(
    "text", ["谢谢啊", "你好呀", "Thanks a lot!", "你能做什么？", "再见", "👍谢谢", "Hi there"]
)
def test_a_courtesy_is_no_reply_and_leaves_the_floor_where_it_is(text: str) -> None:
    talk = Talk()
    talk.asked()
    assert goes_to(talk.say(text)) == ["builtin_chat"]
    assert goes_to(talk.say("国庆节")) == ["plan"]


@pytest.mark.parametrize("text", ["取消", "cancel", "算了", "Never mind", "退出吧"])
def test_a_person_leaves(text: str) -> None:
    talk = Talk()
    talk.asked()
    assert goes_to(talk.say(text)) == ["builtin_chat"]
    assert talk.book.shown("s")[-1]["text"].startswith(("好的，已结束", "All right, that ends"))
    assert goes_to(talk.say("国庆节")) == ["builtin_chat"]


def test_it_ends_by_its_time() -> None:
    for expects, lasts_ms in (
        (ExpectsReply(), 30 * MINUTE_MS),
        (ExpectsReply(until_ms=NOW_MS + 5 * MINUTE_MS), 5 * MINUTE_MS),
        (ExpectsReply(until_ms=2**62), 24 * 60 * MINUTE_MS),
        (ExpectsReply(until_ms=1), 0),
    ):
        for after_ms, expected in ((lasts_ms - 1, "plan"), (lasts_ms, "builtin_chat")):
            if after_ms >= 0:
                talk = Talk()
                talk.asked(expects)
                talk.now_ms += after_ms
                assert goes_to(talk.say("国庆节")) == [expected]


def test_it_ends_with_a_switch_a_new_session_and_an_answer_without_it() -> None:
    switched, renewed, answered = Talk(), Talk(), Talk()
    for talk in (switched, renewed, answered):
        talk.asked()
    switched.book.commit(interact("switch_provider:work"))
    assert goes_to(switched.say("国庆节")) == ["builtin_chat"]
    renewed.book.commit(interact("new_session:auto"))
    assert goes_to(renewed.say("国庆节")) == ["builtin_chat"]
    answered.say("国庆节")
    answered.answer(None, text="好，记下了")
    assert goes_to(answered.say("太紧了")) == ["builtin_chat"]


def test_a_failure_is_no_answer_and_the_floor_stays() -> None:
    talk = Talk()
    run_id = talk.asked()
    talk.say("国庆节")
    talk.answer(text=None)
    assert talk.say("国庆节")["routing"]["candidates"][0]["reason"] == f"continues {run_id}"


def test_another_wins_clearly_and_the_floor_is_still_there_afterwards() -> None:
    talk = Talk()
    talk.asked()
    assert goes_to(talk.say("工作上有任务")) == ["work"]
    assert goes_to(talk.say("国庆节")) == ["plan"]
    assert goes_to(talk.say("把工作排进计划")) == ["plan"], "level with it isn't clearly"


def test_the_floor_goes_to_who_expected_a_reply_last() -> None:
    talk = Talk()
    talk.asked()
    talk.say("工作上有任务")
    talk.answer(ExpectsReply(), text="哪个项目？")
    assert goes_to(talk.say("国庆节")) == ["work"]


def test_replies_are_no_change_of_topic() -> None:
    talk = Talk()
    talk.asked()
    for text in ("make it Osaka instead of Tokyo", "我不吃海鲜也不喝酒", "住得离车站近一点儿好"):
        talk.say(text)
        talk.answer(ExpectsReply())
    assert not [each for each in talk.book.shown("s") if each["type"] == "card"]


def test_each_is_answered_in_their_language() -> None:
    talk = Talk()
    assert talk.say("What is the weather like?")["ackEvents"][0]["text"].startswith("Hello, I am UniAssist")
    assert talk.say("👍👍")["ackEvents"][0]["text"] == "All right. I am here when you need me."
    assert talk.say("今天天气怎么样")["ackEvents"][0]["text"].startswith("这个我还帮不上忙")
    assert talk.say("ok")["ackEvents"][0]["text"] == "好的，有需要随时找我。"
    assert talk.say("???", locale="en-GB")["ackEvents"][0]["text"].startswith("I can't help")
    talk.book.commit(interact("switch_provider:work"))
    assert talk.book.shown("s")[-1]["text"].startswith("Switched to")
    talk.now_ms += 25 * 60 * MINUTE_MS
    assert talk.say("??")["ackEvents"][0]["message"].startswith("It has been more than 24 hours")
    talk.say("plan my week")
    context = codec.decode(talk.book.calls[-1].request.encode(), dict[str, Any])["context"]
    assert context["user"]["locale"] == "en-GB"


def test_what_names_no_zone_is_in_the_zone_of_the_input_before() -> None:
    talk = Talk()
    run_id = talk.say("帮我做旅行计划", timezone="America/New_York")["runs"][0]["runId"]

    def zone() -> Any:
        request = codec.decode(talk.book.calls[-1].request.encode(), dict[str, Any])
        return request["context"]["user"].get("timezone")

    assert zone() == "America/New_York"
    talk.book.commit(interact("submit_data_collection", run_id=run_id))
    assert zone() == "America/New_York"
    talk.say("再做一个计划", timezone="x" * 65)
    talk.now_ms += 25 * 60 * MINUTE_MS
    talk.say("帮我做旅行计划")
    assert zone() == "America/New_York", "also in the session that goes on"
    talk.say("还有计划", timezone="Asia/Tokyo")
    assert zone() == "Asia/Tokyo"


@pytest.mark.parametrize("apart_ms", [0, 1, 9_999])
def test_the_same_interaction_at_the_same_moment_is_one(apart_ms: int) -> None:
    talk = Talk()
    run_id = talk.asked()
    owed = len(talk.book.calls)
    first = interact("submit_data_collection", run_id=run_id, payload={"values": {"goal": "游泳", "a": 1}})
    again = interact(
        "submit_data_collection",
        run_id=run_id,
        payload={"values": {"a": 1, "goal": "游泳"}},
        at_ms=NOW_MS + apart_ms,
    )
    assert talk.book.commit(first) == talk.book.commit(again, now_ms=NOW_MS + apart_ms)
    assert len(talk.book.calls) == owed + 1
    assert talk.book.kinds("s").count("user_interaction") == 1


def test_a_new_session_asked_for_twice_is_one() -> None:
    talk = Talk()
    talk.asked()
    first, second = talk.book.commit(interact("new_session:auto"), interact("new_session:auto"))
    assert first == second
    assert len(talk.book.sessions) == 2


def test_what_differs_or_comes_later_is_another_interaction() -> None:
    talk = Talk()
    run_id = talk.asked()
    owed = len(talk.book.calls)
    for payload, at_ms in (({"a": 1}, 0), ({"a": 2}, 0), ({"a": 1}, 0), ({"a": 1}, 10_000)):
        talk.book.commit(interact("go", run_id=run_id, payload=payload), now_ms=NOW_MS + at_ms)
    assert len(talk.book.calls) == owed + 4
