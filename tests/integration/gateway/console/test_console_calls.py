"""What a life says that a provider was asked and said, against what the provider itself got over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.integration.gateway.client import GatewayClient, interaction, interactions, message, unique
from tests.processes import CONTEXT_TOKEN
from tests.providers import EXPECTS, FakeProvider
from tests.waiting import eventually

READER = "console-read-token-0123456789"


@pytest.fixture
def gateway(start_gateway: Callable[..., GatewayClient], providers_file: Path) -> GatewayClient:
    return start_gateway(
        UNIASSIST_PROVIDERS_FILE=str(providers_file),
        UNIASSIST_CONSOLE="true",
        UNIASSIST_CONSOLE_TOKENS=f"rita:read:{READER}",
    )


@pytest.fixture
async def lives(gateway: GatewayClient) -> AsyncIterator[Callable[[str], Any]]:
    """What is asked in the life of an id."""
    headers = {"Authorization": f"Bearer {READER}"}
    async with aiohttp.ClientSession(f"{gateway.url}/console/v0/", headers=headers) as session:

        async def asked(of: str) -> list[dict[str, Any]]:
            async with session.get("life", params={"of": of}) as answer:
                assert answer.status == 200, await answer.text()
                found: list[dict[str, Any]] = (await answer.json())["asked"]
                return found

        yield asked


async def say(gateway: GatewayClient, text: str, **changed: object) -> tuple[str, str, str]:
    """Its trace, session and the run that answered it."""
    sent = message(text, **changed)
    ack = await gateway.ingest(sent)
    await gateway.when_over(ack["sessionId"], ack["runs"][0]["runId"])
    return sent["traceId"], ack["sessionId"], ack["runs"][0]["runId"]


async def test_a_request_is_put_together_as_it_was_sent(
    gateway: GatewayClient, lives: Callable[[str], Any], provider: FakeProvider
) -> None:
    first = f"做个计划，{EXPECTS}"
    trace, session, run = await say(gateway, first, timezone="Asia/Shanghai", locale="zh-CN", raw={"seen": [1]})
    (asked,) = await lives(trace)
    assert asked["request"] == provider.calls(run)[0].body
    assert asked["uncertain"] == ["run.attempt"]
    assert (asked["kind"], asked["status"], asked["providerId"]) == ("invoke", "answered", "plan")
    assert asked["says"] == interactions(await gateway.timeline(session), run)
    assert asked["askedAt"] <= asked["firstAt"] <= asked["answeredAt"]

    replied, _, second = await say(gateway, "下周一开始", sessionId=session)
    (reply,) = await lives(replied)
    assert reply["request"] == provider.calls(second)[0].body
    assert reply["request"]["run"]["continues"] == run
    assert "run.hint" in reply["uncertain"]

    tap = interaction(session, "confirm", runId=run, payload={"values": {"goal": "swim"}})
    assert (await gateway.post("/v0/interact", tap)).status == 200

    async def answered() -> Any:
        found = await lives(tap["traceId"])
        return found if found and found[0]["status"] == "answered" and found[0]["says"] else None

    (tapped,) = await eventually(answered, "the answer to a tap", 60)
    assert (tapped["kind"], tapped["says"][0]["text"]) == ("interact", "来自服务：confirm")
    assert tapped["request"] == provider.calls(run)[1].body


async def test_what_is_owed_is_shown_as_it_lies_in_its_row_and_a_failure_as_one(
    gateway: GatewayClient, lives: Callable[[str], Any], provider: FakeProvider
) -> None:
    provider.let_go.clear()
    sent = message("hung")
    ack = await gateway.ingest(sent)
    run = ack["runs"][0]["runId"]

    async def arrived() -> bool:
        return bool(provider.calls(run))

    await eventually(arrived, "the provider has it", 60)
    (owed,) = await lives(sent["traceId"])
    assert (owed["status"], owed["attempt"], owed["uncertain"]) == ("owed", 1, [])
    assert owed["request"] == provider.calls(run)[0].body
    assert "answeredAt" not in owed
    provider.let_go.set()

    trace, _, run = await say(gateway, "broken", sessionId=unique("session"))
    (failed,) = await lives(trace)
    assert failed["status"] == "failed"
    assert failed["request"] == provider.calls(run)[0].body


async def test_a_secret_of_the_settings_that_somebody_wrote_is_masked(
    gateway: GatewayClient, lives: Callable[[str], Any]
) -> None:
    trace, _, _ = await say(gateway, f"计划 {CONTEXT_TOKEN}")
    (asked,) = await lives(trace)
    assert asked["request"]["input"]["text"] == "计划 ***"
    assert CONTEXT_TOKEN not in str(asked)
    assert "来自服务：计划 ***" in str(asked["says"])


async def test_who_asks_nobody_has_no_call(gateway: GatewayClient, lives: Callable[[str], Any]) -> None:
    sent = message("hello there")
    await gateway.ingest(sent)
    assert await lives(sent["traceId"]) == []
