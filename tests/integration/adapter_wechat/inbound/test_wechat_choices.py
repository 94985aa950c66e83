"""Menus and forms on a phone: numbers become interactions, once, whatever is pushed again."""

from __future__ import annotations

from typing import Any

from tests.integration.adapter_wechat.conftest import Live
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.waiting import eventually

from uniassist.adapter_wechat import phrases
from uniassist.provider_plan import form as plan_form

FORM: dict[str, Any] = {
    "type": "provider_extension",
    "extensionKind": "data_collection_request",
    "payload": {
        "providerId": "plan",
        "taskId": "task-1",
        "dataSchema": plan_form.data_schema(None, {}),
        "uiSchema": plan_form.ui_schema(None),
        "status": "pending",
    },
}
OFFER: dict[str, Any] = {
    "type": "assistant_message",
    "text": "我能帮你的有：",
    "choices": [{"key": "ask:plan", "label": "计划"}, {"key": "ask:work", "label": "工作"}],
}
CARD: dict[str, Any] = {
    "type": "card",
    "title": "建议切换到 work",
    "actions": [{"actionId": "switch_provider:work", "label": "切换到 work"}],
}


async def test_a_number_becomes_the_interaction_and_its_answer_the_reply(live: Live) -> None:
    openid = fresh("openid")
    offered = await live.wechat.say(openid, "计划")
    assert offered.text is not None
    assert offered.text.endswith("1. 开始\n回复数字即可选择。")
    chosen = await live.wechat.say(openid, "1")
    assert chosen.text == "你选了：go"
    (choice,) = live.gateway.interactions_of(openid)
    assert (choice.action_id, choice.provider_id, choice.user_id) == ("go", "plan", f"wx:{openid}")
    assert choice.run_id == f"run-{live.gateway.inputs.index(live.gateway.inputs_of(openid)[0]) + 1}"
    assert len(live.gateway.inputs_of(openid)) == 1, "the number is no message besides"
    assert (await live.wechat.say(openid, "1")).text == "你说：1", "once chosen, the menu is closed"


async def test_a_choice_is_made_once_though_the_gateways_answer_and_ours_get_lost(live: Live) -> None:
    openid = fresh("openid")
    await live.wechat.say(openid, "计划")
    live.gateway.drops_answers = 2
    pushed = await live.wechat.say(openid, "1", lose=1)
    assert pushed.text == "你选了：go"
    assert len(live.gateway.interactions_of(openid)) == 1


async def test_a_number_pushed_again_stands_for_what_it_stood_for(live: Live) -> None:
    openid = fresh("openid")
    before = await live.wechat.say(openid, "1")
    assert before.text == "你说：1"
    await live.wechat.say(openid, "计划")
    assert (await live.wechat.again(before)).text == "你说：1"
    assert live.gateway.interactions_of(openid) == []


async def test_a_form_is_filled_in_line_by_line_and_submitted(live: Live) -> None:
    openid = fresh("openid")
    live.gateway.answer_events = [FORM]
    shown = await live.wechat.say(openid, "计划")
    assert shown.text == (
        "请补充计划信息\n1. 目标（必填）\n2. 期望完成日期\n3. 可用时间\n4. 限制条件\n5. 提交\n"
        "请回复“序号 内容”填写，例如“1 内容”；填好后回复 5。"
    )
    missing = await live.wechat.say(openid, "5")
    assert missing.text is not None
    assert missing.text.startswith("还需要填写：目标。")
    filled = await live.wechat.say(openid, "1 学会游泳", lose=1)
    assert filled.text is not None
    assert "1. 目标：学会游泳" in filled.text
    await live.wechat.say(openid, "2 2026/3/1")
    assert (await live.wechat.say(openid, "5")).text == "你选了：submit_data_collection"
    (choice,) = live.gateway.interactions_of(openid)
    assert choice.payload == {"taskId": "task-1", "values": {"goal": "学会游泳", "dueDate": "2026-03-01"}}
    assert len(live.gateway.inputs_of(openid)) == 1, "what was filled in went out with the form, not before"


async def test_what_the_chat_offers_is_taken_by_its_number(live: Live) -> None:
    openid = fresh("openid")
    live.gateway.answer_events = [OFFER]
    offered = await live.wechat.say(openid, "计划")
    assert offered.text == "我能帮你的有：\n1. 计划\n2. 工作\n回复数字即可选择。"
    assert (await live.wechat.say(openid, "2")).text == "你选了：ask:work"
    assert (await live.wechat.say(openid, "2")).text == "你说：2", "once chosen, the menu is closed"


async def test_menus_in_one_message_count_on(live: Live) -> None:
    openid = fresh("openid")
    live.gateway.answer_events = [CARD, FORM]
    shown = await live.wechat.say(openid, "计划")
    assert shown.text is not None
    assert "1. 切换到 work" in shown.text
    assert "2. 目标（必填）" in shown.text
    assert (await live.wechat.say(openid, "1")).text == "你选了：switch_provider:work"
    filled = await live.wechat.say(openid, "2 学会游泳")
    assert filled.text is not None
    assert "2. 目标：学会游泳" in filled.text


async def test_a_menu_that_came_late_can_be_answered_too(live: Live) -> None:
    openid = fresh("openid")
    await live.wechat.say(openid, "在吗")
    await live.gateway.say(openid, CARD, run="run-7")
    await eventually(lambda: "建议切换到 work" in "".join(live.wechat.texts(openid)), "the card is shown")
    await eventually(
        lambda: live.execute("SELECT menu FROM wechat_people WHERE openid = %s", openid)[0][0], "the menu is open"
    )
    assert (await live.wechat.say(openid, "1")).text == "你选了：switch_provider:work"


async def test_a_choice_that_the_gateway_no_longer_offers_is_told(live: Live) -> None:
    openid = fresh("openid")
    await live.wechat.say(openid, "计划")
    live.gateway.refuse_next, live.gateway.refuse_status = 1, 400
    assert (await live.wechat.say(openid, "1")).text == phrases.say("expired", "zh")


async def test_while_the_gateway_is_away_a_choice_is_not_claimed_to_be_taken(live: Live) -> None:
    openid = fresh("openid")
    await live.wechat.say(openid, "计划")
    live.gateway.refuse_next, live.gateway.refuse_status = 1000, 503
    pushed = await live.wechat.say(openid, "1")
    assert pushed.text == phrases.say("busy", "zh")
    live.gateway.refuse_next = 0
    assert (await live.wechat.again(pushed)).text == "你选了：go", "the same message goes on where it stopped"
