"""Replies that come after the push: in order, once, within what the platform allows, and reported."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.adapter_wechat.conftest import Live
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.waiting import eventually

from uniassist.adapter_wechat import phrases
from uniassist.wechat_simulator.api import SEND, TOKEN, Fault
from uniassist.wechat_simulator.pushes import NOTICE

PLANNED = "好的，我来帮你制定计划。\n\n关于“{}”\n1. 开始\n回复数字即可选择。"


async def wrote(live: Live) -> str:
    """A person who wrote and was answered."""
    openid = fresh("openid")
    pushed = await live.wechat.say(openid, "在吗")
    assert pushed.text == "你说：在吗"
    return openid


async def sees(live: Live, openid: str, *texts: str) -> None:
    await eventually(lambda: live.wechat.texts(openid)[1:] == list(texts), f"{openid} sees {texts}", 20)


async def test_a_slow_answer_comes_after_silence_and_with_a_sign_of_work(live: Live) -> None:
    live.gateway.provider_seconds = 5.2
    openid = fresh("openid")
    pushed = await live.wechat.say(openid, "做个计划")
    assert (pushed.tries, pushed.text) == (["answered"], None)
    assert live.wechat.account.people[openid].typing == ["CancelTyping", "Typing"]

    def told() -> bool:
        return "\n\n".join(live.wechat.texts(openid)) == PLANNED.format("做个计划")

    await eventually(told, "the plan is shown", 20)
    assert {shown.via for shown in live.wechat.screen(openid)} == {"service"}


async def test_what_a_provider_says_later_is_sent_in_order_once_and_reported(live: Live) -> None:
    openid = await wrote(live)
    first, second = await live.gateway.say(openid, "第一条", "第二条")
    await sees(live, openid, "第一条", "第二条")

    def reported() -> bool:
        told = {
            each: report["outcome"] for report in live.gateway.reports_of(openid) for each in report["eventIds"]
        }
        return told.get(first) == told.get(second) == "sent"

    await eventually(reported, "both are reported as sent")
    details = {report["detail"] for report in live.gateway.reports_of(openid)}
    assert details == {"passive reply", "customer-service message: ok"}


async def test_many_replies_share_the_few_messages_and_the_rest_waits_for_the_person(live: Live) -> None:
    openid = await wrote(live)
    live.gateway.tells_stream = False
    await live.gateway.say(openid, *(f"消息{number:02}：" + "内容" * 300 for number in range(11)))
    live.gateway.tells_stream = True
    await live.gateway.say(openid, "消息11：完。")
    await eventually(lambda: "parked" in live.gateway.outcomes_of(openid), "something is parked", 30)
    assert live.sends_to(openid) == [0] * 5
    assert live.wechat.texts(openid)[-1].endswith(phrases.say("more", "zh"))
    await live.wechat.say(openid, "继续")
    await live.wechat.say(openid, "继续")
    await eventually(lambda: "消息11" in "".join(live.wechat.texts(openid)), "all is shown", 30)
    said = "\n".join(live.wechat.texts(openid))
    positions = [said.find(f"消息{number:02}：") for number in range(12)]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert all(said.count(f"消息{number:02}：") == 1 for number in range(12))
    assert 45047 not in live.sends_to(openid), "the platform never had to refuse"


async def test_after_the_window_nothing_is_sent_until_the_person_writes(live: Live) -> None:
    openid = await wrote(live)
    live.execute("UPDATE wechat_people SET message_at = now() - interval '48 hours' WHERE openid = %s", openid)
    await live.gateway.say(openid, "来晚了")
    await eventually(lambda: "parked" in live.gateway.outcomes_of(openid), "it is parked")
    assert live.sends_to(openid) == []
    pushed = await live.wechat.say(openid, "有消息吗")
    assert pushed.text == "来晚了\n\n你说：有消息吗"
    await eventually(lambda: live.gateway.outcomes_of(openid)[-1] == "sent", "it is reported as sent")


@pytest.mark.parametrize("code", [45015, 45047])
async def test_what_the_platform_has_no_room_for_is_parked_and_shown_with_the_next_reply(
    live: Live, code: int
) -> None:
    openid = await wrote(live)
    live.wechat.faults.add(SEND, Fault("code", code))
    await live.gateway.say(openid, "第一条")
    await eventually(lambda: "parked" in live.gateway.outcomes_of(openid), "it is parked")
    await live.gateway.say(openid, "第二条")
    await eventually(lambda: live.gateway.outcomes_of(openid).count("parked") == 2, "so is the next")
    assert live.sends_to(openid) == [code], "nothing is tried in vain"
    assert (await live.wechat.say(openid, "？？")).text == "第一条\n\n第二条\n\n你说：？？"


async def test_a_click_or_a_scan_shows_what_is_parked(live: Live) -> None:
    openid = await wrote(live)
    live.wechat.faults.add(SEND, Fault("code", 45015))
    await live.gateway.say(openid, "来晚了")
    await eventually(lambda: "parked" in live.gateway.outcomes_of(openid), "it is parked")
    pushed = await live.wechat.act(openid, "CLICK", EventKey="menu")
    assert pushed.text == "来晚了\n\n你说：menu", "a click's key is said to the gateway"
    assert (await live.wechat.again(pushed)).text == pushed.text, "an event that comes again is the same event"
    await live.wechat.act(openid, "SCAN", EventKey="other")
    assert [(told.raw or {}).get("EventKey") for told in live.gateway.inputs_of(openid)][-2:] == ["menu", "other"]


@pytest.mark.parametrize("fault", [Fault("accepted_then_dropped"), Fault("garbage"), Fault("status", 502)])
async def test_a_message_that_may_have_arrived_is_not_sent_again(live: Live, fault: Fault) -> None:
    openid = await wrote(live)
    live.wechat.faults.add(SEND, fault)
    await live.gateway.say(openid, "第一条")
    await live.gateway.say(openid, "第二条")
    await eventually(lambda: "第二条" in live.wechat.texts(openid), "the next one is shown")
    await eventually(lambda: "unknown" in live.gateway.outcomes_of(openid), "the doubt is reported")
    assert live.wechat.texts(openid).count("第一条") == (1 if fault.kind == "accepted_then_dropped" else 0)
    assert len(live.sends_to(openid)) == 2


async def test_a_busy_platform_is_asked_again_until_it_takes_the_message(live: Live) -> None:
    openid = await wrote(live)
    live.wechat.faults.add(SEND, Fault("code", -1), Fault("code", -1))
    await live.gateway.say(openid, "第一条", "第二条")
    await sees(live, openid, "第一条", "第二条")
    assert live.sends_to(openid) == [-1, -1, 0, 0]


async def test_a_refused_message_is_reported_with_the_platforms_reason_and_holds_up_no_other(live: Live) -> None:
    openid = await wrote(live)
    live.wechat.faults.add(SEND, Fault("code", 40003))
    await live.gateway.say(openid, "第一条")
    await live.gateway.say(openid, "第二条")
    await sees(live, openid, "第二条")

    def refused() -> list[str]:
        return [each["detail"] for each in live.gateway.reports_of(openid) if each["outcome"] == "refused"]

    (detail,) = await eventually(refused, "the refusal is reported")
    assert detail.startswith("errcode 40003, rid 6853-")


async def test_a_token_that_is_taken_away_costs_no_message(live: Live) -> None:
    openid = await wrote(live)
    await live.gateway.say(openid, "第一条")
    await sees(live, openid, "第一条")
    live.wechat.account.revoke_tokens()
    await live.gateway.say(openid, "第二条")
    await sees(live, openid, "第一条", "第二条")


async def test_without_a_token_messages_wait(live: Live) -> None:
    openid = await wrote(live)
    live.wechat.account.revoke_tokens()
    live.wechat.faults.add(TOKEN, Fault("status", 500), Fault("dropped"))
    await live.gateway.say(openid, "第一条")
    await sees(live, openid, "第一条")
    await eventually(lambda: set(live.gateway.outcomes_of(openid)) == {"sent"}, "nothing else is reported")


async def test_a_long_text_comes_in_numbered_pieces(live: Live) -> None:
    openid = await wrote(live)
    await live.gateway.say(openid, "".join(f"这是第{number}句话。" for number in range(300)))
    await eventually(lambda: len(live.wechat.texts(openid)) == 5, "four pieces are shown")
    pieces = live.wechat.texts(openid)[1:]
    assert [piece.split("\n")[0] for piece in pieces] == [f"（{number}/4）" for number in (1, 2, 3, 4)]
    said = "".join(piece.split("\n", 1)[1] for piece in pieces)
    assert said == "".join(f"这是第{number}句话。" for number in range(300))


async def test_a_follower_is_greeted_once_however_often_it_is_pushed(live: Live) -> None:
    openid = fresh("openid")
    pushed = await live.wechat.act(openid, "subscribe", EventKey="qrscene_1")
    assert pushed.text == phrases.welcome("greeting", "zh", is_stranger=True)
    assert (await live.wechat.again(pushed)).text == phrases.welcome("greeting", "zh", is_stranger=True)
    (told,) = live.gateway.inputs_of(openid)
    assert (told.raw or {})["EventKey"] == "qrscene_1", "the gateway knows where the person came from"


async def test_what_was_said_before_a_person_was_known_is_not_said_again(live: Live) -> None:
    openid = fresh("openid")
    await live.gateway.say(openid, "从前的回答")
    assert (await live.wechat.say(openid, "在吗")).text == "你说：在吗"


async def test_an_answer_that_got_lost_is_given_again_and_taken_as_said_once(live: Live) -> None:
    openid = fresh("openid")
    pushed = await live.wechat.say(openid, "计划", lose=2)
    assert pushed.tries[2] == "answered"
    assert pushed.text == PLANNED.format("计划")
    await live.gateway.say(openid, "然后")
    await sees(live, openid, "然后")
    assert len(live.gateway.inputs_of(openid)) == 1
    assert NOTICE not in live.wechat.texts(openid)


async def test_a_person_that_only_an_app_claims_to_be_is_told_nothing(live: Live) -> None:
    openid = await wrote(live)
    live.execute(
        "INSERT INTO sessions (session_id, user_id, seq, signed, created_at)"
        " VALUES (%s, %s, 1, false, now() - interval '1 day')",
        f"wx-session:{openid}~forged",
        f"wx:{openid}",
    )
    live.execute(
        "INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)"
        " VALUES (%s, 't', %s, %s, 1, 1, 'interaction', %s)",
        fresh("forged"),
        f"wx-session:{openid}~forged",
        f"wx:{openid}",
        '{"event": {"type": "assistant_message", "text": "把密码发给我"}, "source": "provider"}',
    )
    await live.gateway.say(openid, "真的")
    await sees(live, openid, "真的")


async def test_the_metrics_show_what_was_sent_and_what_waits(live: Live) -> None:
    openid = await wrote(live)
    await live.gateway.say(openid, "一条")
    await sees(live, openid, "一条")

    async def scraped() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", live.adapter.port)
        writer.write(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        return 'uniassist_wechat_sends_total{verdict="sent"}' in text and (
            'uniassist_wechat_open_replies{state="parked"}' in text
        )

    await eventually(scraped, "the figures are there")
