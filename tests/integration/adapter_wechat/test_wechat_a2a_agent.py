"""An A2A agent that somebody else wrote answers on WeChat: streamed, with a question, within the passive reply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.scripted_agents import scripted_agents
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient


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
