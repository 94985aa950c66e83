"""When the gateway fails or goes away: nothing is claimed to be safe that isn't, and health says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from tests.integration.adapter_wechat.conftest import Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.adapter_wechat import phrases
from uniassist.contracts import codec
from uniassist.web.client import JsonClient
from uniassist.web.health import Health


async def health_turns(status: int, client: JsonClient, adapter: ServiceProcess) -> None:
    async def turned() -> bool:
        answer = await client.request("GET", f"{adapter.url}/health", timeout_seconds=5)
        checks = codec.decode(answer.body, Health).checks
        expected = {"gateway": "ok" if status == 200 else "failing", "postgres": "ok", "redis": "ok"}
        return answer.status == status and checks == expected

    await eventually(turned, f"health answers {status}", 5)


async def test_an_input_is_sent_until_it_is_acknowledged(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    gateway.refuse_next = 3
    openid = fresh("openid")
    assert shown(await push(client, adapter, message(openid, "在吗"))) == "你说：在吗"
    assert (gateway.attempts, len(gateway.inputs_of(openid))) == (4, 1)


async def test_a_refusal_that_would_be_repeated_is_not(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    gateway.refuse_next, gateway.refuse_status = 1, 401
    body, began = message(fresh("openid")), time.monotonic()
    assert shown(await push(client, adapter, body)) == phrases.BUSY
    assert time.monotonic() - began < 3
    assert gateway.attempts == 1
    # the next push of the same message starts anew
    assert shown(await push(client, adapter, body)) == "你说：你好"


async def test_without_a_gateway_the_person_is_told_in_time_and_health_tells_the_truth_both_ways(
    own_adapter: ServiceProcess, own_gateway: GatewayDouble, servers: Servers, client: JsonClient
) -> None:
    await health_turns(200, client, own_adapter)
    own_gateway.stop()
    await health_turns(503, client, own_adapter)
    assert (await client.request("GET", f"{own_adapter.url}/health/live", timeout_seconds=5)).status == 200
    began = time.monotonic()
    assert shown(await push(client, own_adapter, message(fresh("openid")))) == phrases.BUSY
    assert time.monotonic() - began < 5
    with servers.gateway(own_gateway.port):
        await health_turns(200, client, own_adapter)
        assert shown(await push(client, own_adapter, message(fresh("openid")))) == "你说：你好"


@pytest.mark.parametrize("signal", ["stop", "kill"])
async def test_a_message_pushed_again_after_a_restart_is_one_input_with_the_same_reply(
    own_adapter: ServiceProcess,
    own_gateway: GatewayDouble,
    servers: Servers,
    service: Callable[..., ServiceProcess],
    client: JsonClient,
    signal: str,
) -> None:
    openid = fresh("openid")
    body = message(openid, "计划")
    before = shown(await push(client, own_adapter, body))
    {"stop": own_adapter.stop, "kill": own_adapter.kill}[signal]()
    again = service("adapter-wechat", **servers.env(own_gateway))
    assert shown(await push(client, again, body)) == before
    assert len(own_gateway.inputs_of(openid)) == 1


async def test_stopping_answers_what_is_under_way(
    own_adapter: ServiceProcess, own_gateway: GatewayDouble, client: JsonClient
) -> None:
    own_gateway.provider_seconds = 1.5
    openid = fresh("openid")
    under_way = asyncio.create_task(push(client, own_adapter, message(openid, "计划")))
    await eventually(lambda: own_gateway.inputs_of(openid), "the input arrived")
    await asyncio.to_thread(own_adapter.stop)
    assert shown(await under_way) is not None
