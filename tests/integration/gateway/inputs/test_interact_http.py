"""What a person does with what was shown: a switch, a new session, something for a run's provider."""

from __future__ import annotations

import pytest
from tests.integration.gateway.client import (
    GatewayClient,
    decoded,
    interaction,
    interactions,
    message,
    refused,
    seqs,
    unique,
)
from tests.providers import FakeProvider
from tests.waiting import eventually


async def test_a_switch_makes_the_provider_sticky_and_says_so(gateway: GatewayClient) -> None:
    sent = message("你好")
    await gateway.ingest(sent)
    session_id = sent["sessionId"]
    answer = await gateway.post("/v0/interact", interaction(session_id, "switch_provider:work"))
    assert (answer.status, decoded(answer)) == (200, {"accepted": True})
    events = (await gateway.timeline(session_id))[4:]
    assert [event["kind"] for event in events] == ["user_interaction", "interaction"]
    assert events[0]["payload"]["actionId"] == "switch_provider:work"
    assert events[1]["payload"]["source"] == "system"
    assert events[1]["payload"]["event"]["text"].startswith("已切换到 work 专项")
    ack = await gateway.ingest(message("继续", sessionId=session_id))
    assert [(c["providerId"], c["score"]) for c in ack["routing"]["candidates"]] == [("work", 0.15)]


async def test_an_interaction_sent_again_with_its_key_is_one(gateway: GatewayClient) -> None:
    sent = message("你好")
    await gateway.ingest(sent)
    asked, key = interaction(sent["sessionId"], "new_session:auto"), {"idempotency-key": unique("key")}
    first = decoded(await gateway.post("/v0/interact", asked, key))
    assert decoded(await gateway.post("/v0/interact", asked, key)) == first
    assert len(await gateway.timeline(sent["sessionId"])) == 5
    other = await gateway.post("/v0/interact", asked | {"actionId": "switch_provider:work"}, key)
    refused(other, 422, "IDEMPOTENCY_CONFLICT", "Idempotency-Key")


async def test_a_key_of_one_user_answers_no_other(gateway: GatewayClient) -> None:
    key = {"idempotency-key": unique("key")}
    for user in (unique("user"), unique("user")):
        sent = message("你好", userId=user)
        await gateway.ingest(sent)
        asked = interaction(sent["sessionId"], "new_session:auto", userId=user)
        answer = await gateway.post("/v0/interact", asked, key)
        assert decoded(answer)["newSessionId"].startswith(sent["sessionId"]), answer.body


async def test_a_switch_to_a_provider_that_does_not_exist_is_refused(gateway: GatewayClient) -> None:
    sent = message("你好")
    await gateway.ingest(sent)
    answer = await gateway.post("/v0/interact", interaction(sent["sessionId"], "switch_provider:nobody"))
    refused(answer, 400, "INVALID_REQUEST", "actionId")
    assert len(await gateway.timeline(sent["sessionId"])) == 4


@pytest.mark.parametrize("wish", ["auto", "because", ""])
async def test_a_new_session_goes_on_under_a_new_id(gateway: GatewayClient, wish: str) -> None:
    sent = message("你好")
    await gateway.ingest(sent)
    old_id = sent["sessionId"]
    answer = await gateway.post("/v0/interact", interaction(old_id, f"new_session:{wish}"))
    new_id = decoded(answer)["newSessionId"]
    assert decoded(answer) == {"accepted": True, "newSessionId": new_id}
    assert new_id.startswith(old_id)
    assert new_id != old_id
    assert (await gateway.ingest(message("你好", sessionId=old_id)))["sessionId"] == new_id
    assert (await gateway.ingest(message("你好", sessionId=new_id)))["sessionId"] == new_id
    assert len(await gateway.timeline(old_id)) == 5
    events = await gateway.timeline(new_id)
    assert seqs(events) == list(range(1, len(events) + 1))


async def test_a_long_line_of_new_sessions_is_followed_to_its_end(gateway: GatewayClient) -> None:
    first = (await gateway.ingest(message("你好")))["sessionId"]
    newest = first
    for _ in range(80):
        answer = await gateway.post("/v0/interact", interaction(newest, "new_session:auto"))
        newest = decoded(answer)["newSessionId"]
        assert len(newest) <= 256
    for _ in range(2):
        assert (await gateway.ingest(message("你好", sessionId=first)))["sessionId"] == newest


@pytest.mark.parametrize("action", ["switch_provider:work", "new_session:auto", "submit_data_collection", "else"])
async def test_an_unknown_session_is_not_found_and_not_made(gateway: GatewayClient, action: str) -> None:
    session_id = unique("unknown")
    answer = await gateway.post("/v0/interact", interaction(session_id, action))
    refused(answer, 404, "SESSION_NOT_FOUND", "sessionId")
    assert await gateway.timeline(session_id) == []


async def test_any_other_action_goes_to_the_runs_provider(gateway: GatewayClient, provider: FakeProvider) -> None:
    sent = message("帮我做个计划")
    run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
    session_id = sent["sessionId"]
    before = len(await gateway.when_over(session_id, run_id))
    asked = interaction(session_id, "submit_data_collection", runId=run_id, payload={"goal": "游泳"})
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    answer = await gateway.post("/v0/interact", asked, {"traceparent": traceparent})
    assert decoded(answer) == {"accepted": True}

    async def answered() -> bool:
        return len(await gateway.timeline(session_id)) == before + 2

    await eventually(answered, "the provider's answer is on the timeline")
    recorded, said = (await gateway.timeline(session_id))[before:]
    assert recorded["kind"] == "user_interaction"
    assert (recorded["runId"], recorded["providerId"]) == (run_id, "plan")
    assert said["payload"]["event"]["text"] == "来自服务：submit_data_collection"
    assert said["payload"]["source"] == "provider"
    call = provider.calls(run_id)[-1]
    assert call.path == "/v0/interact"
    assert call.headers["traceparent"] == traceparent
    assert call.body["interaction"] == asked
    assert call.body["context"]["session"]["sessionId"] == session_id
    assert set(call.body["run"]) == {"runId", "attempt", "idempotencyKey"}


async def test_a_run_of_another_session_or_provider_is_refused(gateway: GatewayClient) -> None:
    mine, other = message("帮我做个计划"), message("帮我做个计划")
    run_id = (await gateway.ingest(mine))["runs"][0]["runId"]
    await gateway.ingest(other)
    cases = [
        interaction(other["sessionId"], "more", runId=run_id),
        interaction(mine["sessionId"], "more", runId=run_id, providerId="work"),
        interaction(mine["sessionId"], "more", runId="run-none"),
    ]
    for asked in cases:
        refused(await gateway.post("/v0/interact", asked), 400, "INVALID_REQUEST", "runId")
    for sent in (mine, other):
        kinds = [event["kind"] for event in await gateway.timeline(sent["sessionId"])]
        assert "user_interaction" not in kinds


async def test_an_action_for_a_provider_that_is_not_connected_says_so(gateway: GatewayClient) -> None:
    sent = message("提醒我")
    run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
    asked = interaction(sent["sessionId"], "snooze", runId=run_id, providerId="reminder")
    assert (await gateway.post("/v0/interact", asked)).status == 200
    last = interactions(await gateway.timeline(sent["sessionId"]))[-1]
    assert "“reminder”尚未接入" in last["text"]


async def test_a_switch_in_an_old_session_counts_in_the_newest(gateway: GatewayClient) -> None:
    old_id = (await gateway.ingest(message("你好")))["sessionId"]
    new_id = decoded(await gateway.post("/v0/interact", interaction(old_id, "new_session:auto")))["newSessionId"]
    assert (await gateway.post("/v0/interact", interaction(old_id, "switch_provider:work"))).status == 200
    assert any("已切换到 work" in event.get("text", "") for event in interactions(await gateway.timeline(new_id)))
