"""One gateway for the fronts' tests, before a provider that streams and the real plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider, streaming_provider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

FRONTED = ("calm", "plan")


@pytest.fixture(scope="session")
def streams() -> Iterator[StreamingProvider]:
    with streaming_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def plan_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    process = ServiceProcess("provider-plan", tmp_path_factory.mktemp("fronts") / "plan.log", {})
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def fronts_env(
    shared_database_url: str,
    shared_redis_url: str,
    streams: StreamingProvider,
    plan_process: ServiceProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    path = tmp_path_factory.mktemp("fronts") / "providers.toml"
    calm = entry("calm", "calm", f"{streams.url}/calm", idle_timeout_ms="20000", concurrency="300")
    path.write_text(calm + entry("plan", "plan", plan_process.url), "utf-8")
    return {
        "DATABASE_URL": shared_database_url,
        "REDIS_URL": shared_redis_url,
        "UNIASSIST_PROVIDERS_FILE": str(path),
        "GATEWAY_RATE_LIMIT_PER_USER": "0",
        "GATEWAY_HOUR_SESSIONS_PER_USER": "0",
    }


@pytest.fixture(scope="session")
def fronts_process(
    fronts_env: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    process = ServiceProcess("gateway", tmp_path_factory.mktemp("fronts") / "gateway.log", dict(fronts_env))
    process.start()
    yield process
    process.stop()


async def when_fronted(http: JsonClient, url: str) -> None:
    """The gateway has seen all manifests, and so knows who streams."""

    async def is_seen() -> bool:
        answer = await http.request("GET", f"{url}/metrics", timeout_seconds=10)
        return answer.body.count(b"uniassist_provider_up{") == len(FRONTED)

    await eventually(is_seen, "manifests are looked at", 60)


@pytest.fixture
async def fronted(fronts_process: ServiceProcess, http: JsonClient) -> GatewayClient:
    await when_fronted(http, fronts_process.url)
    return GatewayClient(http, fronts_process.url)
