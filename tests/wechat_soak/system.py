"""The whole system as processes: gateway, worker, provider-plan and two adapters, beside a simulated platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tests.processes import WECHAT_TOKEN, ServiceProcess
from tests.wechat_soak.provider import QUICK, SLOW, SoakProvider
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store import migrate
from uniassist.wechat_simulator.simulator import WechatSimulator

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
_PROVIDERS = """
[[provider]]
id = "soak"
keywords = ["{quick}", "{slow}"]
base_url = "{url}"
timeout_ms = 20000
concurrency = 512

[[provider]]
id = "plan"
keywords = ["计划"]
base_url_env = "UNIASSIST_PLAN_PROVIDER_BASE_URL"
concurrency = 64
"""


@dataclass
class System:
    wechat: WechatSimulator
    provider: SoakProvider
    adapters: list[ServiceProcess]
    pool: asyncpg.Pool
    directory: Path

    def watch(self, index: int) -> None:
        """From now on the platform pushes to this one."""
        self.wechat.watch(self.adapters[index].url)

    async def restart(self, index: int) -> None:
        """Killed while pushes are under way, the platform turned to the other; back again."""
        self.watch(1 - index)
        await asyncio.to_thread(self.adapters[index].kill)
        await asyncio.to_thread(self.adapters[index].start)


@asynccontextmanager
async def started(directory: Path, seed: int) -> AsyncIterator[System]:
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(directory / "postgres", durable=False)
        stack.callback(postgres.process.kill)
        redis = EmbeddedRedis(directory / "redis")
        stack.callback(redis.process.kill)
        for server in (postgres, redis):
            await asyncio.to_thread(server.start)
        await asyncio.to_thread(migrate.upgrade, postgres.url)
        wechat = stack.enter_context(WechatSimulator(token=WECHAT_TOKEN, aes_key=KEY))
        provider = stack.enter_context(SoakProvider(seed))
        servers = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}

        def service(name: str, **env: str) -> ServiceProcess:
            number = len(list(directory.glob("*.log")))
            process = ServiceProcess(name, directory / f"{name}-{number}.log", servers | env)
            stack.push_async_callback(asyncio.to_thread, process.stop)
            process.start()
            return process

        file = directory / "providers.toml"
        file.write_text(_PROVIDERS.format(quick=QUICK, slow=SLOW, url=provider.url), "utf-8")
        plan = await asyncio.to_thread(service, "provider-plan")
        gateway = await asyncio.to_thread(
            service,
            "gateway",
            UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url,
            UNIASSIST_PROVIDERS_FILE=str(file),
        )
        await asyncio.to_thread(service, "worker")
        env = {
            "GATEWAY_URL": gateway.url,
            "WECHAT_ENCODING_AES_KEY": KEY,
            "WECHAT_MEDIA_DIR": str(directory / "media"),
            **wechat.settings,
        }
        adapters = [await asyncio.to_thread(lambda: service("adapter-wechat", **env)) for _ in range(2)]
        pool = await stack.enter_async_context(asyncpg.create_pool(postgres.url, min_size=1, max_size=2))
        system = System(wechat, provider, adapters, pool, directory)
        system.watch(0)
        yield system
