"""One gateway for the fronts' tests, before a provider that streams and the real plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import psycopg
import pytest
from tests.a2a_agent import SECRET
from tests.conftest import _new_database
from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.provider_entries import entry
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.scripted_agents import ScriptedAgents, scripted_agents
from tests.streaming_provider import StreamingProvider, streaming_provider
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.web.calling.client import JsonClient

AGENTS = ("rpc", "rest", "plain", "old", "secret")
FRONTED = ("calm", "plan", *AGENTS)


@pytest.fixture(scope="session")
def streams() -> Iterator[StreamingProvider]:
    with streaming_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def fronts_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Its gateways' own, as the streaming tests have theirs."""
    yield from _new_database(postgres_server, "template_uniassist")


@pytest.fixture
def database(fronts_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(fronts_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def plan_process(fronts_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    env = {"DATABASE_URL": fronts_database_url, "GATEWAY_URL": f"http://127.0.0.1:{free_port()}"}
    process = ServiceProcess("provider-plan", tmp_path_factory.mktemp("fronts") / "plan.log", env)
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedAgents]:
    with scripted_agents(tmp_path_factory.mktemp("agents")) as found:
        yield found


@pytest.fixture(scope="session")
def fronts_env(
    fronts_database_url: str,
    shared_redis_url: str,
    streams: StreamingProvider,
    plan_process: ServiceProcess,
    agents: ScriptedAgents,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    path = tmp_path_factory.mktemp("fronts") / "providers.toml"
    calm = entry("calm", "calm", f"{streams.url}/calm", idle_timeout_ms="20000", concurrency="300")
    spoken = [
        entry(
            name,
            name,
            f"{agents.url}/{name}",
            kind='"a2a"',
            timeout_ms="20000",
            **({"api_key_env": '"UNIASSIST_PROVIDER_TOKEN_AGENT"'} if name == "secret" else {}),
        )
        for name in AGENTS
    ]
    path.write_text("".join([calm, entry("plan", "plan", plan_process.url), *spoken]), "utf-8")
    return {
        "DATABASE_URL": fronts_database_url,
        "REDIS_URL": shared_redis_url,
        "UNIASSIST_PROVIDERS_FILE": str(path),
        "UNIASSIST_PROVIDER_TOKEN_AGENT": SECRET,
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


async def when_fronted(http: JsonClient, url: str, providers: int = len(FRONTED)) -> None:
    """The gateway has seen all manifests, and so knows who streams."""

    async def is_seen() -> bool:
        answer = await http.request("GET", f"{url}/metrics", timeout_seconds=10)
        return answer.body.count(b"uniassist_provider_up{") == providers

    await eventually(is_seen, "manifests are looked at", 60)


@pytest.fixture
async def fronted(fronts_process: ServiceProcess, http: JsonClient) -> GatewayClient:
    await when_fronted(http, fronts_process.url)
    return GatewayClient(http, fronts_process.url)
