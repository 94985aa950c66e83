"""A cancelled run: shown with the key it was opened under, and closed to what comes after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import psycopg
import pytest
from tests.integration.gateway.client import GatewayClient, Json, decoded, interaction, message, refused, unique
from tests.providers import FakeProvider, fake_provider
from tests.waiting import eventually


@dataclass(frozen=True)
class Cancelled:
    gateway: GatewayClient
    provider: FakeProvider
    sent: Json
    run_id: str


@pytest.fixture
async def cancelled(start_gateway: Callable[..., GatewayClient]) -> AsyncIterator[Cancelled]:
    """A run that was cancelled, under a trace of its own, while its provider still thought."""
    with fake_provider() as provider:
        gateway = start_gateway(
            UNIASSIST_PLAN_PROVIDER_BASE_URL=provider.base_url("hung"),
            GATEWAY_PROVIDER_TIMEOUT_MS="30000",
        )
        sent = message("帮我做个计划")
        run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
        asked = {name: sent[name] for name in ("schemaVersion", "sessionId", "userId", "timestampMs")}
        answer = await gateway.post(f"/v0/runs/{run_id}/cancel", asked | {"traceId": unique("cancelling")})
        assert decoded(answer)["status"] == "cancelled"
        yield Cancelled(gateway, provider, sent, run_id)


async def test_it_is_shown_as_the_run_that_was_opened(cancelled: Cancelled) -> None:
    events = await cancelled.gateway.timeline(cancelled.sent["sessionId"])
    opened, ended = [event["payload"] for event in events if event["kind"] == "provider_run"]
    assert (opened["status"], ended["status"]) == ("pending", "cancelled")
    same = ("providerId", "mode", "routing_mode", "idempotency_key")
    assert {name: ended[name] for name in same} == {name: opened[name] for name in same}
    assert ended["idempotency_key"] == f"{cancelled.sent['traceId']}:plan"


async def test_an_interaction_with_it_is_refused_and_calls_nobody(cancelled: Cancelled) -> None:
    gateway, session_id = cancelled.gateway, cancelled.sent["sessionId"]
    before = await gateway.timeline(session_id)
    answer = await gateway.post("/v0/interact", interaction(session_id, "more", runId=cancelled.run_id))
    refused(answer, 400, "INVALID_REQUEST", "cancelled")
    assert await gateway.timeline(session_id) == before
    assert "/v0/interact" not in [call.path for call in cancelled.provider.calls(cancelled.run_id)]


async def test_neither_its_providers_answer_nor_its_failure_shows_any_more(
    gateway: GatewayClient, database: psycopg.Connection
) -> None:
    sent = message("hung hung")
    ack = await gateway.ingest(sent)
    [run] = [run for run in ack["runs"] if run["providerId"] == "hung"]
    asked = {name: sent[name] for name in ("schemaVersion", "traceId", "sessionId", "userId", "timestampMs")}
    path = f"/v0/runs/{run['runId']}/cancel"
    refused(await gateway.post(path, asked | {"userId": "mallory"}), 404, "SESSION_NOT_FOUND")
    refused(await gateway.post("/v0/runs/none/cancel", asked), 404, "NOT_FOUND", "runId")
    for _ in range(2):  # again is fine
        answer = await gateway.post(path, asked)
        assert (answer.status, decoded(answer)["status"]) == (200, "cancelled"), answer.body
    late = {
        "kind": "interaction",
        "traceId": sent["traceId"],
        "sessionId": sent["sessionId"],
        "userId": sent["userId"],
        "runId": run["runId"],
        "event": {"type": "assistant_message", "text": "too late"},
        "timestampMs": 1,
    }
    assert decoded(await gateway.report(late, provider_id="hung"))["rejected"] == 1

    def call_is_over() -> bool:
        owed = database.execute("SELECT count(*) FROM provider_calls WHERE run_id = %s", [run["runId"]]).fetchone()
        return owed == (0,)

    await eventually(call_is_over, "the call has failed at its deadline")
    events = await gateway.timeline(sent["sessionId"])
    states = [e["payload"]["status"] for e in events if e["kind"] == "provider_run"]
    assert states == ["pending", "cancelled"]
    assert [e for e in events if e["kind"] == "interaction" and e.get("runId") == run["runId"]] == []
