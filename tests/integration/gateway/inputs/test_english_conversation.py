"""A conversation in English over the API, without a model, word for word as in `docs/english-chat.md`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.english_chat import Chat, held_as_written
from tests.processes import ServiceProcess

TRANSCRIPT = Path(__file__).parents[4] / "docs" / "english-chat.md"


async def test_the_conversation_is_as_it_is_written_down(
    service: Callable[..., ServiceProcess],
    start_gateway: Callable[..., GatewayClient],
    database_url: str,
    tmp_path: Path,
) -> None:
    plan = service("provider-plan", DATABASE_URL=database_url)
    chat = Chat(start_gateway(UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url))
    lines = await held_as_written(chat, TRANSCRIPT, tmp_path)
    chinese = re.compile("[\u4e00-\u9fff]")
    assert not [line for line in lines if chinese.search(line.replace("话题变化", ""))], "but for that card's title"
    refused = [line for line in lines if "can't help" in line or "not connected" in line]
    assert len(refused) <= 2
    assert all("I can help you with: Planning" in line for line in refused)
