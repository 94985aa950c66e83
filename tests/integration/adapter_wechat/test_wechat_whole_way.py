"""A message from the platform through the real gateway and the real provider-plan, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.processes import CONTEXT_TOKEN, ServiceProcess
from tests.waiting import eventually

from uniassist.contracts.interaction import AssistantMessage
from uniassist.contracts.provider import LateInteraction, ProviderEventsRequest, ProviderEventsResponse
from uniassist.contracts.timeline import TimelineEvent, TimelinePage
from uniassist.web.calling.client import JsonClient
from uniassist.wechat_simulator.simulator import WechatSimulator

PLAN_TOKEN = "plan-token-of-the-tests-0123456789"


@dataclass
class System:
    gateway: ServiceProcess
    plan: ServiceProcess
    adapter: ServiceProcess
    env: dict[str, str]


@pytest.fixture
def system(service: Callable[..., ServiceProcess], database_url: str, redis_url: str) -> System:
    """As strict as it can be: the plan wants the gateway's token, the gateway takes the second form only."""
    plan = service("provider-plan", UNIASSIST_PROVIDER_TOKEN_PLAN=PLAN_TOKEN)
    gateway = service(
        "gateway",
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url,
        UNIASSIST_PROVIDER_TOKEN_PLAN=PLAN_TOKEN,
        UNIASSIST_SIGNATURES="2",
    )
    env = {"GATEWAY_URL": gateway.url, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    return System(gateway, plan, service("adapter-wechat", **env), env)


async def timeline(client: JsonClient, system: System, openid: str) -> list[TimelineEvent]:
    url = f"{system.gateway.url}/v0/timeline?sessionId=wx-session:{openid}"
    return (await client.get_json(url, TimelinePage, timeout_seconds=20)).events


async def test_a_message_gets_its_reply_and_its_timeline(system: System, client: JsonClient) -> None:
    openid = fresh("openid")
    reply = shown(await push(client, system.adapter, message(openid, "帮我计划学会游泳", MsgId="1")))
    assert reply is not None
    assert "已经替你填上：目标" in reply
    assert "请补充计划信息\n1. 目标：学会游泳\n2. 期望完成日期\n3. 可用时间\n4. 限制条件" in reply
    events = await timeline(client, system, openid)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    kinds = [event.kind for event in events]
    assert kinds[:3] == ["inbound", "routing_decision", "provider_run"]
    assert kinds.count("interaction") == 2
    assert {event.trace_id for event in events} == {events[0].trace_id}


async def test_a_message_for_nobody_is_answered_by_the_builtin_chat(system: System, client: JsonClient) -> None:
    reply = shown(await push(client, system.adapter, message(fresh("openid"), "你好呀")))
    assert reply is not None
    assert "UniAssist" in reply


async def test_pushes_before_and_after_a_restart_are_one_input(
    system: System, service: Callable[..., ServiceProcess], client: JsonClient
) -> None:
    openid = fresh("openid")
    body = message(openid, "帮我计划学会游泳")
    before = shown(await push(client, system.adapter, body))
    system.adapter.kill()
    again = service("adapter-wechat", **system.env)
    assert shown(await push(client, again, body)) == before
    kinds = [event.kind for event in await timeline(client, system, openid)]
    assert kinds.count("inbound") == 1


async def test_without_its_provider_the_person_is_told_and_the_flow_goes_on(
    system: System, client: JsonClient
) -> None:
    system.plan.kill()
    reply = shown(await push(client, system.adapter, message(fresh("openid"), "帮我计划学会游泳")))
    assert reply is not None
    assert reply.startswith("“计划”暂时不可用")
    assert "1. 目标（必填）" in reply


async def test_an_image_is_kept_with_its_media_id(system: System, client: JsonClient, database_url: str) -> None:
    openid = fresh("openid")
    reply = shown(await push(client, system.adapter, message(openid, "", MsgType="image", MediaId="media-9")))
    assert reply is not None
    assert "图片" in reply
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT payload->'input'->'attachments'->0->>'id' FROM timeline_events"
            " WHERE session_id = %s AND kind = 'inbound'",
            (f"wx-session:{openid}",),
        ).fetchone()
    assert row == ("media-9",)


async def test_a_form_is_filled_in_submitted_and_summed_up_over_the_phone(
    system: System, wechat: WechatSimulator
) -> None:
    wechat.watch(system.adapter.url)
    openid = fresh("openid")
    await wechat.say(openid, "帮我计划学会游泳")
    filled = await wechat.say(openid, "2 2026-03-01\n3 每天一小时")
    assert filled.text is not None
    assert (
        "1. 目标：学会游泳\n2. 期望完成日期：2026-03-01（周日）\n3. 可用时间：每天一小时\n4. 限制条件\n"
        in filled.text
    )
    done = await wechat.say(openid, "5", lose=1)
    assert done.text is not None
    assert "学会游泳" in done.text
    assert "你没说以后的日期" in done.text, "that one is over"


async def test_what_comes_late_is_sent_and_its_delivery_stands_on_the_timeline(
    system: System, service: Callable[..., ServiceProcess], wechat: WechatSimulator, client: JsonClient
) -> None:
    service("worker", **{name: system.env[name] for name in ("DATABASE_URL", "REDIS_URL")})
    adapter = service("adapter-wechat", **system.env, **wechat.settings)
    system.adapter.stop()
    wechat.watch(adapter.url)
    openid = fresh("openid")
    await wechat.say(openid, "帮我计划学会游泳")
    run = next(event for event in await timeline(client, system, openid) if event.kind == "provider_run")
    late = LateInteraction(
        trace_id=run.trace_id,
        session_id=run.session_id,
        user_id=run.user_id,
        run_id=run.run_id or "",
        event=AssistantMessage(text="**泳池**找到了", markdown=True),
        timestamp_ms=1,
    )
    body = ProviderEventsRequest(schema_version="v0", provider_id="plan", events=[late], timestamp_ms=1)
    token = {"Authorization": f"Bearer {CONTEXT_TOKEN}"}
    accepted = await client.post_json(
        f"{system.gateway.url}/v0/events", body, ProviderEventsResponse, timeout_seconds=20, headers=token
    )
    assert accepted.rejected == 0
    await eventually(lambda: wechat.texts(openid)[-1] == "泳池找到了", "it is shown", 20)

    async def reported() -> bool:
        told = [event for event in await timeline(client, system, openid) if event.kind == "delivery_event"]
        outcomes = [(event.payload["event"]["outcome"], event.payload["event"]["channel"]) for event in told]
        return outcomes == [("sent", "wechat")] * 2

    await eventually(reported, "the passive reply and the message are on the timeline", 20)


async def test_who_leaves_is_forgotten_in_every_table_and_the_timeline_keeps_its_numbers(
    system: System, wechat: WechatSimulator, client: JsonClient, database_url: str
) -> None:
    wechat.watch(system.adapter.url)
    openid, secret = fresh("openid"), "学会游泳不告诉别人"
    await wechat.say(openid, f"帮我计划{secret}")
    await wechat.say(openid, f"3 {secret}")
    await wechat.say(openid, "4")
    before = await timeline(client, system, openid)
    assert tables_with(database_url, secret) >= {"timeline_events", "wechat_pushes"}
    assert (await wechat.act(openid, "unsubscribe")).text is None
    assert tables_with(database_url, secret) == set()
    after = (await timeline(client, system, openid))[: len(before)]  # what the last message led to may come later
    assert [(event.seq, event.event_id, event.kind) for event in after] == [
        (event.seq, event.event_id, event.kind) for event in before
    ]
    assert secret not in repr(after)
    await wechat.act(openid, "subscribe")
    back = await wechat.say(openid, "帮我计划学会做饭")
    assert back.text is not None
    assert "学会做饭" in back.text
    assert secret not in back.text
    assert [event.seq for event in await timeline(client, system, openid)][: len(before)] == [
        event.seq for event in before
    ]


def tables_with(database_url: str, text: str) -> set[str]:
    """Whose rows have the text anywhere."""
    with psycopg.connect(database_url) as connection:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
            )
        ]
        found = set()
        for name in names:
            asked = SQL("SELECT EXISTS (SELECT FROM {} AS t WHERE position(%s IN t::text) > 0)")
            if connection.execute(asked.format(Identifier(name)), (text,)).fetchone() == (True,):
                found.add(name)
        return found
