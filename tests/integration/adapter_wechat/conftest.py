"""An adapter as a process beside a gateway's double: one pair for all, or one that a test may stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.processes import ServiceProcess

from uniassist.web.client import JsonClient


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[GatewayDouble]:
    with GatewayDouble() as started:
        yield started


@pytest.fixture
def gateway(shared_gateway: GatewayDouble) -> GatewayDouble:
    """The shared one, as if it were new."""
    shared_gateway.reset()
    return shared_gateway


@pytest.fixture(scope="session")
def adapter(shared_gateway: GatewayDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    log = tmp_path_factory.mktemp("adapter") / "log"
    process = ServiceProcess("adapter-wechat", log, {"GATEWAY_URL": shared_gateway.url})
    process.start()
    yield process
    process.stop()


@pytest.fixture
def own_gateway() -> Iterator[GatewayDouble]:
    with GatewayDouble() as started:
        yield started


@pytest.fixture
def own_adapter(own_gateway: GatewayDouble, service: Callable[..., ServiceProcess]) -> ServiceProcess:
    return service("adapter-wechat", GATEWAY_URL=own_gateway.url)


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened
