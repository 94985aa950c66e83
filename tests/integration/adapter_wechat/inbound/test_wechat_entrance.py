"""The unsigned JSON entrance: the contract's answers, and shut where it must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.adapter_wechat.conftest import Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.processes import ServiceProcess

from uniassist.contracts import codec
from uniassist.web.calling.client import Answer, JsonClient


async def say(client: JsonClient, adapter: ServiceProcess, body: object, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else codec.encode(body)
    return await client.request(
        "POST", f"{adapter.url}/wechat/webhook", body=raw, headers=headers, timeout_seconds=30
    )


def read(answer: Answer) -> dict[str, Any]:
    return codec.decode(answer.body, dict[str, Any])


async def test_a_message_is_answered_with_what_the_person_would_see(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    openid = fresh("openid")
    answer = await say(client, adapter, {"openid": openid, "text": "计划"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    (taken,) = gateway.inputs_of(openid)
    said = read(answer)
    assert (said["ok"], said["traceId"]) == (True, taken.trace_id)
    assert said["sessionId"] == f"wx-session:{openid}"
    assert [run["providerId"] for run in said["runs"]] == ["plan"]
    assert said["replyText"].startswith("好的，我来帮你制定计划。")


async def test_a_charset_makes_no_difference(adapter: ServiceProcess, client: JsonClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await say(client, adapter, {"openid": fresh("openid"), "text": "在吗"}, **headers)
    assert read(answer)["replyText"] == "你说：在吗"


async def test_a_repeated_message_id_is_one_input(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    body = {"openid": fresh("openid"), "text": "在吗", "messageId": "m-1"}
    first, second = [await say(client, adapter, body) for _ in range(2)]
    assert first.body == second.body
    assert len(gateway.inputs_of(str(body["openid"]))) == 1
    for _ in range(2):
        await say(client, adapter, {"openid": body["openid"], "text": "在吗"})
    assert len(gateway.inputs_of(str(body["openid"]))) == 3


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"text": "x"}, "openid"),
        ({"openid": "", "text": "x"}, "openid"),
        ({"openid": "o" * 129, "text": "x"}, "openid"),
        ({"openid": "o"}, "text"),
        ({"openid": "o", "text": ""}, "text"),
        ({"openid": "o", "text": 7}, "text"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"openid":"o","text":"\\u0000"}', "U+0000"),
    ],
)
async def test_a_bad_message_is_400_and_not_ok(
    adapter: ServiceProcess, client: JsonClient, body: object, named: str
) -> None:
    answer = await say(client, adapter, body)
    said = read(answer)
    assert (answer.status, said["ok"], said["code"]) == (400, False, "INVALID_REQUEST")
    assert named in said["detail"]


async def test_a_gateway_that_fails_is_502_and_not_ok(
    own_adapter: ServiceProcess, own_gateway: GatewayDouble, client: JsonClient
) -> None:
    own_gateway.refuse_next, own_gateway.refuse_status = 1000, 400
    answer = await say(client, own_adapter, {"openid": "o", "text": "x"})
    assert (answer.status, read(answer)["ok"]) == (502, False)
    own_gateway.stop()
    answer = await say(client, own_adapter, {"openid": "o", "text": "x"})
    assert (answer.status, read(answer)["ok"]) == (502, False)


async def test_until_the_provider_answers_the_acknowledgement_is_the_reply(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    gateway.provider_seconds = 30.0
    answer = await say(client, adapter, {"openid": fresh("openid"), "text": "计划"})
    assert read(answer)["replyText"] == "收到，正在交给 plan 处理。"


async def test_switched_off_it_takes_nothing_unsigned(
    gateway: GatewayDouble,
    shared_servers: Servers,
    service: Callable[..., ServiceProcess],
    client: JsonClient,
) -> None:
    closed = service("adapter-wechat", **shared_servers.env(gateway, WECHAT_JSON_ENTRANCE="false"))
    openid = fresh("openid")
    answer = await say(client, closed, {"openid": openid, "text": "x"})
    assert answer.status == 403
    assert gateway.inputs_of(openid) == []


async def test_outside_dev_and_test_it_is_off_by_itself(
    gateway: GatewayDouble,
    shared_servers: Servers,
    service: Callable[..., ServiceProcess],
    client: JsonClient,
) -> None:
    staged = service("adapter-wechat", **shared_servers.env(gateway, UNIASSIST_ENV="staging"))
    assert (await say(client, staged, {"openid": "o", "text": "x"})).status == 403
