"""A chat's model hands over, and an AG-UI client sees the call of its tool: live, taken up again, as history."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from ag_ui.core import EventType
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.fronts.agui_screen import Screen, again, run, run_of


@pytest.fixture
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


async def test_a_hand_over_is_a_tool_call_with_its_result(
    chatting: GatewayClient, http_client: httpx.AsyncClient
) -> None:
    thread_id = unique("thread")
    body = run_of(thread_id, "r1", "say:Let_me_ask. tool:plan:a_week_in_Rome stop")
    screen = await run(http_client, chatting.url, body)
    [owner] = [each for each in screen.messages if "calls" in each]
    assert owner["content"] == "Let me ask."
    [call] = owner["calls"]
    assert call["name"] == "hand_over"
    assert json.loads(call["arguments"]) == {"provider": "plan", "request": "a week in Rome"}
    result = screen.messages[screen.messages.index(owner) + 1]
    assert (result["role"], json.loads(result["content"])) == ("tool", {"status": "completed"})
    kinds = [event.type for event in screen.events]
    order = [
        EventType.TOOL_CALL_START,
        EventType.TOOL_CALL_ARGS,
        EventType.TOOL_CALL_END,
        EventType.TOOL_CALL_RESULT,
    ]
    assert [kind for kind in kinds if kind in order] == order
    [chat, plan] = screen.state["uniassist"]["runs"].values()
    assert (chat, plan["provider"], plan["status"]) == (
        {"provider": "chat", "status": "completed"},
        "plan",
        "completed",
    )
    assert screen.finished.outcome is not None
    for count in range(1, len(screen.events)):
        part = await run(http_client, chatting.url, body, Screen(until=count))
        part.until = None
        await again(http_client, chatting.url, thread_id, "r1", part, last=part.last_id)
        assert (part.messages, part.state) == (screen.messages, screen.state), part.events[count - 1]
    fresh = await again(http_client, chatting.url, thread_id, None, Screen())
    assert fresh.messages == screen.messages


async def test_a_call_without_a_word_stands_by_itself(
    chatting: GatewayClient, http_client: httpx.AsyncClient
) -> None:
    thread_id = unique("thread")
    screen = await run(http_client, chatting.url, run_of(thread_id, "r1", "tool:plan stop"))
    [owner] = [each for each in screen.messages if "calls" in each]
    assert (owner["content"], json.loads(owner["calls"][0]["arguments"])) == ("", {"provider": "plan"})
    assert owner["id"] == owner["calls"][0]["id"]
    assert (await again(http_client, chatting.url, thread_id, None, Screen())).messages == screen.messages
