"""A provider that streams, and one gateway in front of it for a module's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from tests.conftest import _new_database
from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider, streaming_provider
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.web.calling.client import JsonClient

# Ids of entries, each its keyword as well: deadlines that are long for a test, and short ones.
ENTRIES = {
    "calm": {"idle_timeout_ms": "20000", "total_timeout_ms": "40000", "concurrency": "300"},
    "hasty": {"idle_timeout_ms": "500", "total_timeout_ms": "40000"},
    "bounded": {"run_timeout_ms": "900"},
    "brief": {"idle_timeout_ms": "20000", "total_timeout_ms": "1200"},
}


@pytest.fixture(scope="module")
def streams() -> Iterator[StreamingProvider]:
    with streaming_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def streaming_file(streams: StreamingProvider, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streaming") / "providers.toml"
    entries = [entry(name, name, f"{streams.url}/{name}", **more) for name, more in ENTRIES.items()]
    path.write_text("".join(entries), "utf-8")
    return path


@pytest.fixture(scope="module")
def streaming_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Its gateways' own: others would take over calls of the providers that they know by the same names."""
    yield from _new_database(postgres_server, "template_uniassist")


@pytest.fixture
def database(streaming_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(streaming_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def streaming_env(streaming_database_url: str, shared_redis_url: str, streaming_file: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": streaming_database_url,
        "REDIS_URL": shared_redis_url,
        "UNIASSIST_PROVIDERS_FILE": str(streaming_file),
        "GATEWAY_RATE_LIMIT_PER_USER": "0",
    }


@pytest.fixture(scope="module")
def streaming_process(
    streaming_env: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    process = ServiceProcess("gateway", tmp_path_factory.mktemp("streaming") / "gateway.log", dict(streaming_env))
    process.start()
    yield process
    process.stop()


async def when_looked_at(http: JsonClient, url: str) -> None:
    """The gateway has seen all manifests, and so knows who streams."""

    async def is_seen() -> bool:
        answer = await http.request("GET", f"{url}/metrics", timeout_seconds=10)
        return answer.body.count(b"uniassist_provider_up{") == len(ENTRIES)

    await eventually(is_seen, "manifests are looked at")


@pytest.fixture
async def streaming(streaming_process: ServiceProcess, http: JsonClient) -> GatewayClient:
    await when_looked_at(http, streaming_process.url)
    return GatewayClient(http, streaming_process.url)


@pytest.fixture
async def second(
    service: Callable[..., ServiceProcess], streaming_env: Mapping[str, str], http: JsonClient
) -> GatewayClient:
    """Another gateway on the same servers."""
    process = service("gateway", **streaming_env)
    await when_looked_at(http, process.url)
    return GatewayClient(http, process.url)
