"""A streamed answer in WeChat: the message, once, and nothing of how it was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.streaming_provider import streaming_provider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient


async def test_a_person_gets_the_message_and_none_of_its_deltas(
    service: Callable[..., ServiceProcess], client: JsonClient, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    with streaming_provider() as streams:
        file = tmp_path / "providers.toml"
        file.write_text(entry("calm", "calm", f"{streams.url}/calm"), "utf-8")
        gateway = service("gateway", **env, UNIASSIST_PROVIDERS_FILE=str(file))
        adapter = service("adapter-wechat", **env, GATEWAY_URL=gateway.url)
        await eventually(lambda: 'uniassist_provider_up{provider="calm"} 1' in gateway.scraped(), "it is known")
        openid = fresh("openid")
        reply = await push(client, adapter, message(openid, "calm d:m1:你好 d:m1:， e:m1:你好，世界 end"))
        assert shown(reply) == "你好，世界"
        assert "text/event-stream" in streams.accepts[-1]
        again = await push(client, adapter, message(openid, "calm m:一句 end"))
        assert shown(again) == "一句", "nothing was left to say of the one before"
