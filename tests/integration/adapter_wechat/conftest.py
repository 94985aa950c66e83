"""An adapter as a process beside a gateway's double: one pair for all, or one that a test may stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.processes import WECHAT_TOKEN, ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.web.calling.client import JsonClient
from uniassist.wechat_simulator.api import SEND
from uniassist.wechat_simulator.simulator import WechatSimulator


@dataclass(frozen=True)
class Servers:
    """What adapters and the gateway's double share in a test, and with no other system."""

    database_url: str
    redis_url: str
    stream_prefix: str

    def gateway(self, port: int = 0) -> GatewayDouble:
        return GatewayDouble(self.database_url, self.redis_url, self.stream_prefix, port)

    def env(self, gateway: GatewayDouble, **more: str) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "UNIASSIST_STREAM_PREFIX": self.stream_prefix,
            "GATEWAY_URL": gateway.url,
            **more,
        }


@pytest.fixture(scope="session")
def shared_servers(postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis) -> Servers:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE wechat_shared TEMPLATE template_uniassist")
    return Servers(postgres_server.url_for("wechat_shared"), redis_server.url, "shared:")


@pytest.fixture
def servers(database_url: str, redis_url: str) -> Servers:
    """A database of the test's own."""
    return Servers(database_url, redis_url, "own:")


@pytest.fixture(scope="session")
def shared_gateway(shared_servers: Servers) -> Iterator[GatewayDouble]:
    with shared_servers.gateway() as started:
        yield started


@pytest.fixture
def gateway(shared_gateway: GatewayDouble) -> GatewayDouble:
    """The shared one, as if it were new."""
    shared_gateway.reset()
    return shared_gateway


@pytest.fixture(scope="session")
def adapter(
    shared_gateway: GatewayDouble, shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """One without an app secret: passive replies only."""
    log = tmp_path_factory.mktemp("adapter") / "log"
    process = ServiceProcess("adapter-wechat", log, shared_servers.env(shared_gateway))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def own_gateway(servers: Servers) -> Iterator[GatewayDouble]:
    with servers.gateway() as started:
        yield started


@pytest.fixture
def own_adapter(
    own_gateway: GatewayDouble, servers: Servers, service: Callable[..., ServiceProcess]
) -> ServiceProcess:
    return service("adapter-wechat", **servers.env(own_gateway))


@pytest.fixture
def wechat() -> Iterator[WechatSimulator]:
    with WechatSimulator(token=WECHAT_TOKEN) as started:
        yield started


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened


SENDING = "SELECT lease_owner FROM wechat_people JOIN wechat_replies USING (openid) WHERE state = 'sending'"


@dataclass(frozen=True)
class Live:
    """An account with all permissions, its adapter and a gateway's double."""

    wechat: WechatSimulator
    gateway: GatewayDouble
    adapter: ServiceProcess
    servers: Servers

    def sends_to(self, openid: str) -> list[int | None]:
        """The codes that customer-service messages to this person were answered with."""
        return [call.code for call in self.wechat.calls(SEND) if call.body["touser"] == openid]

    async def under_way(self) -> list[tuple[object, ...]]:
        """Once a customer-service message is: who sends it."""
        return await eventually(lambda: self.execute(SENDING), "it is under way")

    def execute(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            cursor = connection.execute(query, arguments)
            return cursor.fetchall() if cursor.description is not None else []


@pytest.fixture(scope="session")
def shared_live(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE wechat_live TEMPLATE template_uniassist")
    servers = Servers(postgres_server.url_for("wechat_live"), redis_server.url, "live:")
    with (
        WechatSimulator(token=WECHAT_TOKEN) as wechat,
        servers.gateway() as gateway,
    ):
        folder = tmp_path_factory.mktemp("live")
        env = servers.env(gateway, WECHAT_MEDIA_DIR=str(folder / "media"), **wechat.settings)
        adapter = ServiceProcess("adapter-wechat", folder / "log", env)
        adapter.start()
        wechat.watch(adapter.url)
        yield Live(wechat, gateway, adapter, servers)
        adapter.stop()


@pytest.fixture
def live(shared_live: Live) -> Live:
    """The shared one, as if it were new."""
    shared_live.gateway.reset()
    shared_live.wechat.faults.clear()
    return shared_live


@pytest.fixture
def own_live(
    wechat: WechatSimulator,
    own_gateway: GatewayDouble,
    servers: Servers,
    service: Callable[..., ServiceProcess],
    tmp_path: Path,
) -> Live:
    env = servers.env(own_gateway, WECHAT_MEDIA_DIR=str(tmp_path / "media"), **wechat.settings)
    adapter = service("adapter-wechat", **env)
    wechat.watch(adapter.url)
    return Live(wechat, own_gateway, adapter, servers)
