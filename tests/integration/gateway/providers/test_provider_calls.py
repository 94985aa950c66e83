"""Provider calls: after the ack, with a deadline, once, and with something to go on with when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.gateway.client import (
    GatewayClient,
    interaction,
    interactions,
    message,
    run_states,
    seqs,
)
from tests.ports import free_port
from tests.providers import FakeProvider, fake_provider
from tests.waiting import eventually


async def test_a_provider_gets_the_contracts_invoke_and_its_answer_is_shown(
    gateway: GatewayClient, provider: FakeProvider
) -> None:
    sent = message("帮我做个计划", locale="zh-CN", timezone="Asia/Shanghai", raw={"a": [1, 2.5, None]})
    traceparent = f"00-{'1' * 32}-{'2' * 16}-01"
    ack = await gateway.ingest(sent, {"traceparent": traceparent})
    run_id = ack["runs"][0]["runId"]
    events = await gateway.when_over(sent["sessionId"], run_id)
    assert run_states(events, run_id) == ["pending", "completed"]
    said = [event for event in events if event["kind"] == "interaction" and event["runId"] == run_id]
    assert [event["payload"]["source"] for event in said] == ["provider", "provider"]
    assert [event["payload"]["event"] for event in said] == [
        {"type": "ack", "message": "收到"},
        {"type": "assistant_message", "text": "来自服务：帮我做个计划"},
    ]
    [call] = provider.calls(run_id)
    assert call.path == "/v0/invoke"
    assert call.headers["traceparent"] == traceparent
    assert call.body["schemaVersion"] == "v0"
    assert call.body["input"] == sent
    assert call.body["run"] == {
        "runId": run_id,
        "providerId": "plan",
        "attempt": 1,
        "idempotencyKey": f"{sent['traceId']}:plan",
    }
    assert call.body["context"]["user"] == {
        "userId": "user-1",
        "locale": "zh-CN",
        "timezone": "Asia/Shanghai",
    }
    assert call.body["context"]["profileRef"] == "profile:user-1"


@pytest.mark.parametrize("name", ["slow", "broken", "nonsense", "impostor", "bulky", "hung", "down"])
async def test_a_provider_that_fails_is_said_to_be_unavailable(gateway: GatewayClient, name: str) -> None:
    before = await gateway.metrics()
    sent = message(f"use {name} now")
    ack = await gateway.ingest(sent)
    [run] = ack["runs"]
    assert run["providerId"] == name
    events = await gateway.when_over(sent["sessionId"], run["runId"])
    assert run_states(events, run["runId"]) == ["pending", "failed"]
    [said] = [event for event in events if event["kind"] == "interaction" and event.get("runId") == run["runId"]]
    assert said["payload"]["source"] == "fallback"
    assert f"{name} is unavailable" in said["payload"]["event"]["text"]
    assert seqs(events) == list(range(1, len(events) + 1))
    after = await gateway.metrics()
    assert after["provider"]["invokeErrorTotal"] == before["provider"]["invokeErrorTotal"] + 1
    assert after["provider"]["interactErrorTotal"] == before["provider"]["interactErrorTotal"]


async def test_a_failed_interact_is_said_and_counted_as_such(gateway: GatewayClient) -> None:
    sent = message("use broken now")
    run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
    length = len(await gateway.when_over(sent["sessionId"], run_id))
    before = await gateway.metrics()
    asked = interaction(sent["sessionId"], "more", runId=run_id, providerId="broken")
    assert (await gateway.post("/v0/interact", asked)).status == 200

    async def told() -> bool:
        return len(await gateway.timeline(sent["sessionId"])) == length + 2

    await eventually(told, "the person is told")
    last = interactions(await gateway.timeline(sent["sessionId"]), run_id)[-1]
    assert "broken is unavailable" in last["text"]
    after = await gateway.metrics()
    assert after["provider"]["interactErrorTotal"] == before["provider"]["interactErrorTotal"] + 1


async def test_without_its_provider_a_plan_goes_on_with_the_builtin_form(
    start_gateway: Callable[..., GatewayClient],
) -> None:
    """With the providers file of the package, too."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    alone = start_gateway(
        UNIASSIST_PLAN_PROVIDER_BASE_URL=nowhere,
    )
    sent = message("make a 计划", locale="en")
    ack = await alone.ingest(sent)
    run_id = ack["runs"][0]["runId"]
    events = await alone.when_over(sent["sessionId"], run_id)
    said, form = interactions(events, run_id)
    assert said["text"].startswith("Planning is unavailable")
    assert (form["type"], form["extensionKind"]) == ("provider_extension", "data_collection_request")
    assert set(form["payload"]) == {"providerId", "taskId", "dataSchema", "uiSchema", "status"}
    carrier = next(event for event in events if event.get("extensionKind"))
    assert carrier["renderSchemaRef"] == "v0:plan:data_collection_request"
    both = await alone.ingest(message("工作 提醒"))
    assert sorted(run["providerId"] for run in both["runs"]) == ["reminder", "work"]
    assert sum("尚未接入" in event.get("text", "") for event in both["ackEvents"]) == 2
    assert sum("目前我能帮你的有" in event.get("text", "") for event in both["ackEvents"]) == 1
    one = await alone.ingest(message("工作 计划"))
    (said,) = [event["text"] for event in one["ackEvents"] if "尚未接入" in event.get("text", "")]
    assert "目前我能帮你的有" not in said, "somebody answers"


async def test_a_hung_provider_delays_nobody_else(
    start_gateway: Callable[..., GatewayClient], tmp_path: Path
) -> None:
    """Neither the acks nor the answers of another provider; its own are given up at its deadline."""
    file = tmp_path / "providers.toml"
    with fake_provider() as provider:
        entries = [("plan", "计划", "up"), ("work", "工作", "hung")]
        file.write_text(
            "\n".join(
                f'[[provider]]\nid = "{name}"\nkeywords = ["{keyword}"]\nbase_url = "{provider.url}/{behaviour}"'
                for name, keyword, behaviour in entries
            ),
            "utf-8",
        )
        client = start_gateway(
            UNIASSIST_PROVIDERS_FILE=str(file),
            GATEWAY_PROVIDER_TIMEOUT_MS="60000",
        )
        hung, fine = [message("工作") for _ in range(40)], [message("计划") for _ in range(4)]
        stuck = await asyncio.gather(*(client.ingest(sent) for sent in hung))
        for sent in fine:
            run_id = (await client.ingest(sent))["runs"][0]["runId"]
            events = await client.when_over(sent["sessionId"], run_id)
            assert run_states(events, run_id) == ["pending", "completed"]
        for sent, ack in zip(hung, stuck, strict=True):
            run_id = ack["runs"][0]["runId"]
            assert run_states(await client.timeline(sent["sessionId"]), run_id) == ["pending"]
        provider.let_go.set()
        for sent, ack in zip(hung, stuck, strict=True):
            run_id = ack["runs"][0]["runId"]
            events = await client.when_over(sent["sessionId"], run_id)
            assert run_states(events, run_id) == ["pending", "completed"]
            assert len(provider.calls(run_id)) == 1


async def test_one_answer_for_a_session_while_others_arrive(gateway: GatewayClient) -> None:
    """Answers and new inputs write to the same session at once: no gap, nothing twice."""
    session_id = message()["sessionId"]
    acks = await asyncio.gather(*(gateway.ingest(message("计划", sessionId=session_id)) for _ in range(20)))
    for ack in acks:
        await gateway.when_over(session_id, ack["runs"][0]["runId"])
    events = await gateway.timeline(session_id)
    assert seqs(events) == list(range(1, len(events) + 1))
    for ack in acks:
        assert len(interactions(events, ack["runs"][0]["runId"])) == 2
