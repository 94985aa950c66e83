"""When the gateway fails or goes away: nothing is claimed to be safe that isn't, and health says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.integration.adapter_wechat.conftest import Live, Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.adapter_wechat import phrases
from uniassist.contracts import codec
from uniassist.web.calling.client import JsonClient
from uniassist.web.health import Health
from uniassist.wechat_simulator.simulator import WechatSimulator

CLAIM_BREAKS = """
CREATE FUNCTION claim_breaks() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION USING ERRCODE = ''57P01'', MESSAGE = ''going down''; END';
CREATE TRIGGER claim_breaks BEFORE UPDATE OF reply ON wechat_pushes
    FOR EACH ROW WHEN (NEW.reply IS NOT NULL) EXECUTE FUNCTION claim_breaks()
"""


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
    gateway.refuse_next, gateway.refuse_status = 2, 401
    body = message(fresh("openid"))
    assert shown(await push(client, adapter, body)) == phrases.say("busy", "zh")
    assert gateway.attempts == 2, "in each form of a signature"
    # the next push of the same message starts anew
    assert shown(await push(client, adapter, body)) == "你说：你好"
    gateway.refuse_next = 2
    english = message(fresh("openid"), "make me a plan")
    assert shown(await push(client, adapter, english)) == phrases.say("busy", "en")


async def test_a_gateway_that_knows_the_first_form_only_is_spoken_to_in_it(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    """While a release is rolled out, the adapter goes before the gateway."""
    gateway.is_old = True
    openid = fresh("openid")
    assert shown(await push(client, adapter, message(openid, "在吗"))) == "你说：在吗"
    assert len(gateway.inputs_of(openid)) == 1


async def test_without_a_gateway_the_person_is_told_in_time_and_health_tells_the_truth_both_ways(
    own_adapter: ServiceProcess,
    own_gateway: GatewayDouble,
    servers: Servers,
    client: JsonClient,
    wechat: WechatSimulator,
) -> None:
    wechat.watch(own_adapter.url)
    await health_turns(200, client, own_adapter)
    own_gateway.stop()
    await health_turns(503, client, own_adapter)
    assert (await client.request("GET", f"{own_adapter.url}/health/live", timeout_seconds=5)).status == 200
    pushed = await wechat.say(fresh("openid"), "在吗")
    assert (pushed.tries, pushed.text) == (["cut", "cut", "answered"], phrases.say("busy", "zh")), (
        "once it comes no more"
    )
    with servers.gateway(own_gateway.port):
        await health_turns(200, client, own_adapter)
        assert shown(await push(client, own_adapter, message(fresh("openid")))) == "你说：你好"


async def test_a_gateway_that_is_back_before_the_last_push_costs_nobody_a_message(
    own_adapter: ServiceProcess, own_gateway: GatewayDouble, servers: Servers, wechat: WechatSimulator
) -> None:
    wechat.watch(own_adapter.url)
    openid = fresh("openid")
    own_gateway.stop()
    asked = asyncio.create_task(wechat.say(openid, "在吗"))
    held = 'uniassist_wechat_pushes_total{outcome="unanswered"} 1.0'
    await eventually(lambda: held in own_adapter.scraped(), "the first push is left to the next")
    with servers.gateway(own_gateway.port) as back:
        pushed = await asked
        assert (pushed.tries, pushed.text) == (["cut", "answered"], "你说：在吗")
        assert len(back.inputs_of(openid)) == 1


async def test_while_the_database_is_away_a_message_is_left_to_the_next_push(
    own_live: Live, tmp_path: Path
) -> None:
    own_live.execute("ALTER TABLE wechat_pushes RENAME TO hidden_pushes")
    lost = await own_live.wechat.say(fresh("openid"), "在吗")
    assert (lost.tries, lost.text) == (["cut", "cut", "answered"], phrases.say("busy", "zh")), (
        "said by the last push"
    )
    asked = asyncio.create_task(own_live.wechat.say(fresh("openid"), "在吗"))
    log = next(tmp_path.glob("adapter-wechat-*.log"))
    await eventually(lambda: log.read_text().count("a push could not be taken") == 4, "its first push fails")
    own_live.execute("ALTER TABLE hidden_pushes RENAME TO wechat_pushes")
    pushed = await asked
    assert (pushed.tries, pushed.text) == (["cut", "answered"], "你说：在吗")


async def test_a_database_that_hangs_costs_pushes_but_no_message(own_live: Live) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "在吗")
    with psycopg.connect(own_live.servers.database_url) as locking:
        locking.execute("LOCK TABLE wechat_people IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(own_live.wechat.say(openid, "还在吗"))
        held = 'uniassist_wechat_pushes_total{outcome="unanswered"} 1.0'
        await eventually(lambda: held in own_live.adapter.scraped(), "the first push is left to the next")
    pushed = await asked
    assert (pushed.tries, pushed.text) == (["cut", "answered"], "你说：还在吗")
    assert len(own_live.gateway.inputs_of(openid)) == 2


async def test_an_answer_of_which_nobody_heard_whether_it_is_written_down_is_shown_by_the_next_push(
    own_live: Live, tmp_path: Path
) -> None:
    openid = fresh("openid")
    own_live.gateway.provider_seconds = 1.5
    asked = asyncio.create_task(own_live.wechat.say(openid, "计划"))
    await eventually(lambda: own_live.gateway.inputs_of(openid), "the input arrived")
    own_live.execute(CLAIM_BREAKS)
    log = next(tmp_path.glob("adapter-wechat-*.log"))
    await eventually(lambda: "a reply could not be claimed" in log.read_text(), "the claim failed")
    own_live.execute("DROP TRIGGER claim_breaks ON wechat_pushes")
    pushed = await asked
    assert pushed.tries == ["cut", "answered"]
    assert "关于“计划”" in str(pushed.text)


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
