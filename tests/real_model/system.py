"""Gateway, worker and provider-plan as processes on servers of their own, the model behind the chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.gateway.client import GatewayClient
from tests.ports import free_port
from tests.processes import ServiceProcess
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store import migrate
from uniassist.web.calling.client import JsonClient

# A very small model does best with little to remember, examples instead of rules, and no room for a second thought.
_INSTRUCTIONS = """\
You are UniAssist, a friendly assistant. Answer with one short, plain sentence, and stop.
Asked "Hi": "Hello! How can I help you today?"
Asked "What can you do?": "I can chat with you, and Planning makes a plan when you write what to plan."
Thanked: "You are welcome!"
Sent [image]: "I can't see pictures, please tell me in words."
"""
_CHAT = """
[[provider]]
id = "chat"
kind = "openai"
fallback = true
name = {{ zh = "小助手", en = "Assistant" }}
base_url = "{url}"
model = "{model}"
instructions = '''{instructions}'''
temperature = 0.0
max_tokens = {max_tokens}
history_tokens = {history_tokens}
extra = {{ repeat_penalty = 1.1, seed = 7, stop = ["\\n"] }}
hands_over = {hands_over}
timeout_ms = 120000
idle_timeout_ms = 240000
total_timeout_ms = 600000

[[provider]]
id = "plan"
name = {{ zh = "计划", en = "Planning" }}
keywords.zh = ["计划"]
keywords.en = ["plan", "schedule"]
example = {{ zh = "帮我制定一个学习计划", en = "make me a plan to learn to swim" }}
description = "makes plans: a goal, a due date, limits"
base_url_env = "UNIASSIST_PLAN_PROVIDER_BASE_URL"
"""


@dataclass
class System:
    gateway: GatewayClient
    process: ServiceProcess
    model_url: str
    model: str
    file: Path

    def configure(
        self,
        *,
        history_tokens: int = 400,
        max_tokens: int = 120,
        is_away: bool = False,
        hands_over: bool = False,
    ) -> None:
        """The gateway reads it within a moment. is_away: nobody listens where the model should be."""
        url = f"http://127.0.0.1:{free_port()}/v1" if is_away else self.model_url
        values: dict[str, object] = {"history_tokens": history_tokens, "max_tokens": max_tokens}
        values["hands_over"] = str(hands_over).lower()
        text = _CHAT.format(url=url, model=self.model, instructions=_INSTRUCTIONS, **values)
        new = self.file.with_suffix(".new")
        new.write_text(text, "utf-8")
        new.replace(self.file)


@asynccontextmanager
async def started(directory: Path, model_url: str, model: str) -> AsyncIterator[System]:
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(directory / "postgres", durable=False)
        stack.callback(postgres.process.kill)
        redis = EmbeddedRedis(directory / "redis")
        stack.callback(redis.process.kill)
        for server in (postgres, redis):
            await asyncio.to_thread(server.start)
        await asyncio.to_thread(migrate.upgrade, postgres.url)
        servers = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}

        async def service(name: str, **env: str) -> ServiceProcess:
            process = ServiceProcess(name, directory / f"{name}.log", servers | env)
            stack.push_async_callback(asyncio.to_thread, process.stop)
            await asyncio.to_thread(process.start)
            return process

        http = await stack.enter_async_context(JsonClient())
        file = directory / "providers.toml"
        plan = await service("provider-plan")
        process = ServiceProcess("gateway", directory / "gateway.log", {})
        system = System(GatewayClient(http, process.url), process, model_url, model, file)
        system.configure()
        process.env |= servers | {
            "UNIASSIST_PLAN_PROVIDER_BASE_URL": plan.url,
            "UNIASSIST_PROVIDERS_FILE": str(file),
        }
        stack.push_async_callback(asyncio.to_thread, process.stop)
        await asyncio.to_thread(process.start)
        await service("worker")
        yield system
