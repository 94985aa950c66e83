"""A chat model that takes what is nobody's, beside a specialist, and one gateway in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat_server import KEY, ChatServer, chat_server
from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.providers import FakeProvider, fake_provider

from uniassist.web.calling.client import JsonClient

CHAT = """
[[provider]]
id = "chat"
kind = "openai"
fallback = true
name = {{ zh = "小助手", en = "Assistant" }}
base_url = "{url}"
api_key_env = "UNIASSIST_PROVIDER_TOKEN_CHAT"
model = "test-model"
instructions = "You are Uni."
temperature = 0.2
max_tokens = 500
history_tokens = 400
extra = {{ seed = 7, stream = false }}
timeout_ms = 1500
idle_timeout_ms = 700
total_timeout_ms = 4000
"""


@pytest.fixture(scope="module")
def model() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture(scope="module")
def specialist() -> Iterator[FakeProvider]:
    with fake_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def chat_file(model: ChatServer, specialist: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The providers file, which a test may change and put back."""
    file = tmp_path_factory.mktemp("chat") / "providers.toml"
    plan = entry("plan", "计划", specialist.base_url("up"), description='"plans: makes them, shows them"')
    file.write_text(CHAT.format(url=model.url) + plan + entry("away", "远方"), "utf-8")
    return file


@pytest.fixture(scope="module")
def chat_process(
    shared_database_url: str,
    shared_redis_url: str,
    chat_file: Path,
) -> Iterator[ServiceProcess]:
    process = ServiceProcess(
        "gateway",
        chat_file.with_name("gateway.log"),
        {
            "DATABASE_URL": shared_database_url,
            "REDIS_URL": shared_redis_url,
            "UNIASSIST_PROVIDERS_FILE": str(chat_file),
            "UNIASSIST_PROVIDER_TOKEN_CHAT": KEY,
            "GATEWAY_RATE_LIMIT_PER_USER": "0",
        },
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture
def chatting(chat_process: ServiceProcess, http: JsonClient) -> GatewayClient:
    return GatewayClient(http, chat_process.url)
