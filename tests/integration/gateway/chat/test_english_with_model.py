"""A conversation in English over the API, with a model behind the chat, as in `docs/english-chat-with-model.md`."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from tests.chat_server import KEY, chat_server
from tests.integration.gateway.chat.english_answers import ACTS, READ_BACK
from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.english_chat import Chat, held_as_written
from tests.processes import ServiceProcess

TRANSCRIPT = Path(__file__).parents[4] / "docs" / "english-chat-with-model.md"
PROVIDERS = files("uniassist.gateway.providers") / "providers.toml"
CHAT = """
[[provider]]
id = "chat"
kind = "openai"
fallback = true
name = {{ zh = "小助手", en = "Assistant" }}
base_url = "{url}"
api_key_env = "UNIASSIST_PROVIDER_TOKEN_CHAT"
model = "test-model"
"""


async def test_the_conversation_with_a_model_is_as_it_is_written_down(
    service: Callable[..., ServiceProcess],
    start_gateway: Callable[..., GatewayClient],
    database_url: str,
    tmp_path: Path,
) -> None:
    """The model is the tests' server, with the answers of `english_answers`."""
    plan = service("provider-plan", DATABASE_URL=database_url)
    with chat_server() as model:
        model.acts = ACTS
        file = tmp_path / "providers.toml"
        file.write_text(CHAT.format(url=model.url) + PROVIDERS.read_text("utf-8"), "utf-8")
        gateway = start_gateway(
            UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url,
            UNIASSIST_PROVIDERS_FILE=str(file),
            UNIASSIST_PROVIDER_TOKEN_CHAT=KEY,
        )
        lines = await held_as_written(Chat(gateway), TRANSCRIPT, tmp_path)
        shown = json.dumps(model.last_said(READ_BACK)["messages"], ensure_ascii=False)
    assert "The plan is confirmed" in shown, "what it reads back is there to be read"
    assert not [line for line in lines if "can't help" in line or "not connected" in line]
