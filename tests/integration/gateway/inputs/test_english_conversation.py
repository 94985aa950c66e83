"""A conversation in English over the API, without a model, word for word as in `docs/english-chat.md`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.integration.gateway.client import GatewayClient
from tests.integration.gateway.english_chat import THEY, YOU, Chat, written_down
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
    written = TRANSCRIPT.read_text(encoding="utf-8")
    lines = [line.removesuffix("  ") for line in written.splitlines() if line.startswith(("**", "*("))]
    spoken: list[str] = []
    for line in lines:
        if line.startswith(THEY):
            continue
        spoken.append(line)
        spoken += [f"{THEY}{each}" for each in await chat.say(line.removeprefix(YOU))]
    said = tmp_path / "english-chat.md"
    said.write_text(written_down(written.partition("\n\n**")[0], spoken), encoding="utf-8")
    assert spoken == lines, f"read {said}, and copy it to docs/ if it is as it should be"
    mine = [line for line in lines if line.startswith(YOU)]
    assert len(mine) >= 25
    chinese = re.compile("[\u4e00-\u9fff]")
    assert not [line for line in lines if chinese.search(line.replace("话题变化", ""))], "but for that card's title"
    refused = [line for line in lines if "can't help" in line or "not connected" in line]
    assert len(refused) <= 2
    assert all("I can help you with: Planning" in line for line in refused)
