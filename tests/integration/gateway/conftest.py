"""One gateway for all tests that leave it running, in front of providers of every behaviour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import _new_database
from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.tokens import KEY
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.providers import FakeProvider, fake_provider

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store.server.pool import Pool, create_pool
from uniassist.web.calling.client import JsonClient

PROVIDER_TIMEOUT_MS = 700
_BEHAVIOURS = ("slow", "broken", "nonsense", "impostor", "bulky", "hung")


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def providers_file(provider: FakeProvider, server_directory: Path) -> Path:
    """plan and work answer, reminder isn't connected, the others fail as their id says, each on two keywords."""
    entries = [
        ("plan", ["计划", "安排", "日程", "目标", "规划"], provider.base_url("up")),
        ("work", ["工作", "任务", "项目", "会议", "汇报", "交付"], provider.base_url("up")),
        ("reminder", ["提醒", "记录", "待办", "通知"], None),
        *((name, [name], f"{provider.url}/{name}") for name in _BEHAVIOURS),
        ("down", ["down"], f"http://127.0.0.1:{free_port()}"),
    ]
    lines = []
    for provider_id, keywords, base_url in entries:
        quoted = ", ".join(f'"{keyword}"' for keyword in keywords)
        lines += ["[[provider]]", f'id = "{provider_id}"', f"keywords = [{quoted}]"]
        lines += [f'base_url = "{base_url}"'] if base_url else []
    path = server_directory / "providers.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="session")
def shared_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    yield from _new_database(postgres_server, "template_uniassist")


@pytest.fixture(scope="session")
def shared_redis_url(redis_server: EmbeddedRedis) -> str:
    return f"{redis_server.url.removesuffix('/0')}/7"


@pytest.fixture(scope="session")
def shared_process(
    shared_database_url: str, shared_redis_url: str, providers_file: Path, server_directory: Path
) -> Iterator[ServiceProcess]:
    process = ServiceProcess(
        "gateway",
        server_directory / "gateway.log",
        {
            "DATABASE_URL": shared_database_url,
            "REDIS_URL": shared_redis_url,
            "UNIASSIST_PROVIDERS_FILE": str(providers_file),
            "GATEWAY_PROVIDER_TIMEOUT_MS": str(PROVIDER_TIMEOUT_MS),
            "GATEWAY_HOUR_SESSIONS_PER_USER": "0",  # all tests are the same user
        },
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def guarded_process(
    shared_database_url: str, shared_redis_url: str, providers_file: Path, server_directory: Path
) -> Iterator[ServiceProcess]:
    """A second one on the same servers, which asks apps for tokens."""
    process = ServiceProcess(
        "gateway",
        server_directory / "guarded.log",
        {
            "DATABASE_URL": shared_database_url,
            "REDIS_URL": shared_redis_url,
            "UNIASSIST_PROVIDERS_FILE": str(providers_file),
            "UNIASSIST_APP_AUTH": "jwt",
            "UNIASSIST_APP_JWT_KEY": KEY,
            "UNIASSIST_CORS_ORIGINS": "https://app.example",
            "GATEWAY_HOUR_SESSIONS_PER_USER": "0",
        },
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def http() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened


@pytest.fixture
def gateway(shared_process: ServiceProcess, http: JsonClient) -> GatewayClient:
    return GatewayClient(http, shared_process.url)


@pytest.fixture
def guarded_log(guarded_process: ServiceProcess) -> Path:
    return guarded_process.process.log


@pytest.fixture
def guarded(guarded_process: ServiceProcess, http: JsonClient) -> GatewayClient:
    return GatewayClient(http, guarded_process.url)


@pytest.fixture
def connect(http: JsonClient) -> Callable[[ServiceProcess], GatewayClient]:
    """A client of a gateway that the test started itself."""
    return lambda process: GatewayClient(http, process.url)


@pytest.fixture
def start_gateway(
    service: Callable[..., ServiceProcess],
    connect: Callable[[ServiceProcess], GatewayClient],
    database_url: str,
    shared_redis_url: str,
) -> Callable[..., GatewayClient]:
    """`start_gateway(SETTING=…)`: one of the test's own, on a database of its own."""

    def start(**env: str) -> GatewayClient:
        return connect(service("gateway", DATABASE_URL=database_url, REDIS_URL=shared_redis_url, **env))

    return start


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool of the test's own database, as a gateway has it."""
    pool = await create_pool(database_url, application_name="test")
    yield pool
    await pool.close()


@pytest.fixture
def database(shared_database_url: str) -> Iterator[psycopg.Connection]:
    """The shared gateway's database."""
    with psycopg.connect(shared_database_url, autocommit=True) as connection:
        yield connection
