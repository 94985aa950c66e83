"""An A2A agent that somebody else wrote answers on WeChat: streamed, with a question, within the windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.scripted_agents import scripted_agents
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient
from uniassist.wechat_simulator.api import SEND
from uniassist.wechat_simulator.simulator import WechatSimulator


async def test_an_agent_answers_and_asks_in_wechat(
    service: Callable[..., ServiceProcess], client: JsonClient, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    folder = tmp_path / "agents"
    folder.mkdir()
    with scripted_agents(folder) as agents:
        file = tmp_path / "providers.toml"
        file.write_text(entry("travel", "机票", f"{agents.url}/rpc", kind='"a2a"', timeout_ms="20000"), "utf-8")
        gateway = service("gateway", **env, UNIASSIST_PROVIDERS_FILE=str(file))
        adapter = service("adapter-wechat", **env, GATEWAY_URL=gateway.url)
        await eventually(
            lambda: 'uniassist_provider_up{provider="travel"} 1' in gateway.scraped(), "it is known", 60
        )
        openid = fresh("openid")
        reply = await push(client, adapter, message(openid, "机票 a:x:找到了 A:x:三班 ask:哪一天？"))
        assert shown(reply) == "找到了三班\n\n哪一天？"
        reply = await push(client, adapter, message(openid, "周五 A:y:订好了 done:一路平安"))
        assert shown(reply) == "订好了\n\n一路平安"
        asked, answered = agents.log
        assert answered["taskId"] == asked["taskId"]


async def test_what_an_agent_says_after_the_passive_reply_comes_as_customer_messages(
    service: Callable[..., ServiceProcess],
    wechat: WechatSimulator,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> None:
    """A streamed agent that takes longer than the platform waits; the simulator keeps its windows."""
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    folder = tmp_path / "agents"
    folder.mkdir()
    with scripted_agents(folder) as agents:
        file = tmp_path / "providers.toml"
        file.write_text(entry("travel", "机票", f"{agents.url}/rpc", kind='"a2a"', timeout_ms="20000"), "utf-8")
        gateway = service("gateway", **env, UNIASSIST_PROVIDERS_FILE=str(file))
        media = str(tmp_path / "media")
        adapter = service(
            "adapter-wechat", **env, **wechat.settings, GATEWAY_URL=gateway.url, WECHAT_MEDIA_DIR=media
        )
        wechat.watch(adapter.url)
        await eventually(
            lambda: 'uniassist_provider_up{provider="travel"} 1' in gateway.scraped(), "it is known", 60
        )
        openid, text = fresh("openid"), "机票 A:x:正在找 a:y:找到 wait A:y:了三班 ask:哪一天？"
        pushed = await wechat.say(openid, text)
        assert "找到" not in (pushed.text or ""), "what is half written isn't shown"
        agents.let_go()
        await eventually(lambda: wechat.texts(openid)[-1] == "哪一天？", "the rest comes", 60)
        said = "\n".join(wechat.texts(openid)).split(text, 1)[-1]
        assert [said.count(each) for each in ("正在找", "找到了三班", "哪一天？")] == [1, 1, 1]
        assert {call.code for call in wechat.calls(SEND)} == {0}, "each within its window"
        await wechat.say(openid, "周五 A:z:订好了 done:一路平安")
        await eventually(lambda: "一路平安" in wechat.texts(openid)[-1], "its answer goes into the task", 60)
        asked, answered = agents.log
        assert answered["taskId"] == asked["taskId"]
