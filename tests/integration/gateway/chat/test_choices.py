"""Without a model: what the gateway can offer is tapped, and then a specialist answers."""

from __future__ import annotations

import pytest
from tests.integration.gateway.client import GatewayClient, decoded, interaction, interactions, message
from tests.waiting import eventually


async def test_what_is_offered_can_be_tapped(gateway: GatewayClient) -> None:
    ack = await gateway.ingest(message("今天天气怎么样"))
    session_id, run_id = ack["sessionId"], ack["runs"][0]["runId"]
    [said] = interactions(await gateway.timeline(session_id), run_id)
    keys = [each["key"] for each in said["choices"]]
    assert keys[:2] == ["ask:plan", "ask:work"]
    assert "ask:reminder" not in keys, "nobody is there to be asked"
    tapped = interaction(session_id, "ask:work", providerId="builtin_chat", runId=run_id)
    assert decoded(await gateway.post("/v0/interact", tapped)) == {"accepted": True}

    async def answered() -> bool:
        events = await gateway.timeline(session_id)
        texts = [each.get("text") for each in interactions(events)]
        return texts[-1] == "来自服务：工作"

    await eventually(answered, "the specialist answered")
    events = await gateway.timeline(session_id)
    decision = [e["payload"] for e in events if e["kind"] == "routing_decision"][-1]
    assert decision["candidates"][0]["reason"] == f"handed over by builtin_chat in {run_id}"


@pytest.mark.parametrize("text", ["谢谢", "再见"])
async def test_who_asks_for_nothing_is_offered_nothing(gateway: GatewayClient, text: str) -> None:
    ack = await gateway.ingest(message(text))
    [said] = interactions(await gateway.timeline(ack["sessionId"]))
    assert "choices" not in said


async def test_nobody_who_is_not_there_can_be_asked(gateway: GatewayClient) -> None:
    ack = await gateway.ingest(message("今天天气怎么样"))
    session_id, run_id = ack["sessionId"], ack["runs"][0]["runId"]
    for action in ("ask:reminder", "ask:nobody", "ask:"):
        tapped = interaction(session_id, action, providerId="builtin_chat", runId=run_id)
        await gateway.post("/v0/interact", tapped)
    runs = {e["providerId"] for e in await gateway.timeline(session_id) if e["kind"] == "provider_run"}
    assert runs == {"builtin_chat"}
