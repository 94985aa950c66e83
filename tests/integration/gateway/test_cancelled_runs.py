"""A cancelled run: shown with the key it was opened under, and closed to what comes after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from tests.integration.gateway.client import GatewayClient, Json, decoded, interaction, message, refused, unique
from tests.providers import FakeProvider, fake_provider


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
