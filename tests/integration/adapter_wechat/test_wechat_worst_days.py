"""Adapters that are killed, an account without permission, a Redis that forgets: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from tests.integration.adapter_wechat.conftest import SENDING, Live, Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.adapter_wechat import phrases
from uniassist.wechat_simulator.api import SEND, TOKEN, Fault
from uniassist.wechat_simulator.pushes import NOTICE
from uniassist.wechat_simulator.simulator import WechatSimulator

PLANNED = "好的，我来帮你制定计划。\n\n关于“{}”\n1. 开始\n回复数字即可选择。"


async def test_an_account_that_may_only_answer_holds_the_push_and_keeps_the_rest(own_live: Live) -> None:
    openid = fresh("openid")
    own_live.wechat.account.may_send = False
    await own_live.wechat.say(openid, "在吗")
    await own_live.gateway.say(openid, "第一条")
    await eventually(lambda: "parked" in own_live.gateway.outcomes_of(openid), "it is parked")
    own_live.gateway.provider_seconds = 6.0
    pushed = await own_live.wechat.say(openid, "计划")
    assert pushed.tries == ["cut", "answered"]
    assert pushed.text == f"第一条\n\n{PLANNED.format('计划')}"
    await own_live.gateway.say(openid, "第二条")
    await eventually(lambda: own_live.gateway.outcomes_of(openid).count("parked") == 2, "so is the next")
    assert own_live.sends_to(openid) == [48001], "the platform said so once"


async def test_who_waits_for_longer_than_all_pushes_is_told_how_to_fetch_the_answer(
    servers: Servers, own_gateway: GatewayDouble, wechat: WechatSimulator, service: Callable[..., ServiceProcess]
) -> None:
    wechat.watch(service("adapter-wechat", **servers.env(own_gateway)).url)
    own_gateway.provider_seconds = 15.5
    openid = fresh("openid")
    pushed = await wechat.say(openid, "计划")
    assert pushed.tries == ["cut", "cut", "answered"]
    assert pushed.text == phrases.say("still_working", "zh")
    await eventually(lambda: "parked" in own_gateway.outcomes_of(openid), "the answer is parked")
    assert (await wechat.say(openid, "好了吗")).text == f"{PLANNED.format('计划')}\n\n你说：好了吗"
    assert NOTICE not in wechat.texts(openid)


async def test_an_address_that_the_account_does_not_let_in_stops_the_sending_and_loses_nothing(
    own_live: Live, tmp_path: Path
) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    own_live.wechat.account.ip_is_allowed = False
    await own_live.gateway.say(openid, "第一条")
    await eventually(lambda: own_live.wechat.calls(TOKEN), "a token was asked for")
    log = next(tmp_path.glob("adapter-wechat-*.log"))
    await eventually(lambda: '"level": "error"' in log.read_text(), "the log alerts")
    own_live.wechat.account.ip_is_allowed = True
    assert (await own_live.wechat.say(openid, "现在呢")).text == "第一条\n\n你说：现在呢"
    assert own_live.sends_to(openid) == []


async def test_a_message_under_way_when_its_adapter_is_killed_is_reported_and_not_repeated(
    own_live: Live, servers: Servers, service: Callable[..., ServiceProcess]
) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    own_live.wechat.faults.add(SEND, Fault("silence", seconds=3.0))
    (first,) = await own_live.gateway.say(openid, "第一条")
    await own_live.under_way()
    await asyncio.to_thread(own_live.adapter.kill)
    adapter = service("adapter-wechat", **servers.env(own_live.gateway, **own_live.wechat.settings))
    own_live.wechat.watch(adapter.url)
    own_live.gateway.tells_stream = False
    own_live.execute("UPDATE wechat_people SET lease_expires_at = now() + interval '2 seconds'")
    assert (await own_live.wechat.say(openid, "还在吗")).text == "你说：还在吗", "once nobody alive sends any more"

    def doubted() -> list[list[str]]:
        return [each["eventIds"] for each in own_live.gateway.reports_of(openid) if each["outcome"] == "unknown"]

    assert await eventually(doubted, "the doubt is reported") == [[first]]
    assert "第一条" not in own_live.wechat.texts(openid)


async def test_a_killed_adapter_holds_its_people_up_for_seconds(
    own_live: Live, servers: Servers, service: Callable[..., ServiceProcess]
) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    own_live.wechat.faults.add(SEND, Fault("silence", seconds=60.0))
    await own_live.gateway.say(openid, "第一条")
    await own_live.under_way()
    assert own_live.execute("SELECT 1 FROM wechat_people WHERE lease_expires_at < now() + interval '11 seconds'")
    renewed = "SELECT 1 FROM wechat_people WHERE lease_expires_at > %s + interval '3 seconds'"
    ((was,),) = own_live.execute("SELECT lease_expires_at FROM wechat_people")
    await eventually(lambda: own_live.execute(renewed, was), "whoever lives keeps it")
    await asyncio.to_thread(own_live.adapter.kill)
    service("adapter-wechat", **servers.env(own_live.gateway, **own_live.wechat.settings))
    await own_live.gateway.say(openid, "第二条")
    await eventually(lambda: own_live.wechat.texts(openid)[-1] == "第二条", "another goes on", 30)


async def test_what_comes_back_busy_is_not_overtaken_by_the_answer_to_a_push(own_live: Live) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    own_live.wechat.faults.add(SEND, Fault("code", -1, seconds=2.0))
    await own_live.gateway.say(openid, "第一条")
    await own_live.under_way()
    assert (await own_live.wechat.say(openid, "还在吗")).text == "第一条\n\n你说：还在吗"


async def test_a_push_that_can_wait_no_longer_leaves_its_answer_to_who_sends(own_live: Live) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    own_live.wechat.faults.add(SEND, Fault("code", -1, seconds=6.0))
    await own_live.gateway.say(openid, "第一条")
    await own_live.under_way()
    pushed = await own_live.wechat.say(openid, "还在吗")
    assert (pushed.tries, pushed.text) == (["answered"], None)
    seen = ["你说：在吗", "第一条", "你说：还在吗"]
    await eventually(lambda: own_live.wechat.texts(openid) == seen, "both come in their order", 20)


async def test_an_adapter_that_froze_while_it_sent_takes_nothing_from_its_successor(
    own_live: Live, servers: Servers, service: Callable[..., ServiceProcess]
) -> None:
    other = service("adapter-wechat", **servers.env(own_live.gateway, **own_live.wechat.settings))
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    own_live.wechat.faults.add(SEND, Fault("code", -1, seconds=1.0), Fault("code", -1, seconds=7.0))
    await own_live.gateway.say(openid, "第一条")
    ((owner,),) = await own_live.under_way()
    frozen = next(each for each in (own_live.adapter, other) if f":{each.process.pid}:" in str(owner))
    frozen.process.pause()
    own_live.execute("UPDATE wechat_people SET lease_expires_at = now()")
    await own_live.gateway.say(openid, "第二条")
    elsewhere = f"{SENDING} AND text = '第二条' AND lease_owner <> '{owner}'"
    await eventually(lambda: own_live.execute(elsewhere), "the next is under way elsewhere")
    frozen.process.resume()
    await eventually(lambda: "uniassist_wechat_sends_total{" in frozen.scraped(), "the frozen one has its answer")
    is_left = own_live.execute(elsewhere) or own_live.wechat.texts(openid)[1:] == ["第二条"]
    assert is_left, "and leaves the person to who has them now"
    await eventually(lambda: own_live.wechat.texts(openid)[1:] == ["第二条"], "who goes on", 20)
    await eventually(lambda: "unknown" in own_live.gateway.outcomes_of(openid), "the first is reported")


async def test_a_choice_that_one_adapter_was_killed_over_is_made_once_by_the_next(
    own_live: Live, servers: Servers, service: Callable[..., ServiceProcess]
) -> None:
    openid = fresh("openid")
    plain = await own_live.wechat.say(openid, "1")
    await own_live.wechat.say(openid, "计划")
    own_live.gateway.provider_seconds = 2.5
    choosing = asyncio.create_task(own_live.wechat.say(openid, "1"))
    await eventually(lambda: own_live.gateway.interactions_of(openid), "the choice is made")
    other = service("adapter-wechat", **servers.env(own_live.gateway, **own_live.wechat.settings))
    own_live.wechat.watch(other.url)
    await asyncio.to_thread(own_live.adapter.kill)
    chosen = await choosing
    assert (chosen.tries[-1], chosen.text) == ("answered", "你选了：go")
    assert (await own_live.wechat.again(plain)).text == "你说：1", "what was no choice then is none now"
    assert len(own_live.gateway.interactions_of(openid)) == 1


async def test_what_the_stream_never_told_is_found_in_the_database(own_live: Live, servers: Servers) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    own_live.gateway.tells_stream = False
    with Redis.from_url(servers.redis_url) as redis:
        redis.flushall()
    await own_live.gateway.say(openid, "第一条")
    await eventually(lambda: own_live.wechat.texts(openid)[-1] == "第一条", "it is shown all the same", 20)
    own_live.gateway.tells_stream = True
    await own_live.gateway.say(openid, "第二条")
    await eventually(lambda: own_live.wechat.texts(openid)[-1] == "第二条", "and the next, on a new stream", 20)
