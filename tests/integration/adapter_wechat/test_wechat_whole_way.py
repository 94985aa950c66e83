"""A message from the platform through the real gateway and the real provider-plan, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest
from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.processes import ServiceProcess

from uniassist.contracts.timeline import TimelineEvent, TimelinePage
from uniassist.web.client import JsonClient


@dataclass
class System:
    gateway: ServiceProcess
    plan: ServiceProcess
    adapter: ServiceProcess
    env: dict[str, str]


@pytest.fixture
def system(service: Callable[..., ServiceProcess], database_url: str, redis_url: str) -> System:
    plan = service("provider-plan")
    gateway = service(
        "gateway", DATABASE_URL=database_url, REDIS_URL=redis_url, UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url
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
    assert "请补充计划信息\n1. 目标：学会游泳\n2. 期望完成日期\n3. 限制条件" in reply
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
    assert reply.startswith("plan 暂时不可用")
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
