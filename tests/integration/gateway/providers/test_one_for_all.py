"""One person's inputs, as large, deep or strange as the contract allows, don't cost others their provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.integration.gateway.client import GatewayClient, Json, interactions, message, run_states
from tests.processes import ServiceProcess
from tests.providers import REFUSED, Behaviour, fake_provider
from tests.waiting import eventually

from uniassist.contracts import bounds, codec
from uniassist.web.calling import sse

Start = Callable[..., ServiceProcess]


def deepest(text: str) -> Json:
    deep: Any = 1
    for _ in range(bounds.MAX_NESTING - 2):
        deep = [deep]
    return message(text, raw={"deep": deep})


def largest(text: str) -> Json:
    sent = message(text, raw={"filler": ""})
    sent["raw"]["filler"] = "x" * (bounds.MAX_BODY_BYTES - len(codec.encode(sent)))
    return sent


async def test_requests_that_a_provider_refuses_do_not_open_its_breaker(
    start_gateway: Callable[..., GatewayClient],
) -> None:
    with fake_provider() as provider:
        gateway = start_gateway(
            UNIASSIST_PLAN_PROVIDER_BASE_URL=provider.base_url("picky"),
        )
        for _ in range(6):
            sent = message(f"计划 {REFUSED}", userId="mallory")
            run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
            events = await gateway.when_over(sent["sessionId"], run_id)
            assert run_states(events, run_id) == ["pending", "failed"]
        sent = message("帮我做个计划", userId="someone-else")
        run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
        events = await gateway.when_over(sent["sessionId"], run_id)
        assert run_states(events, run_id) == ["pending", "completed"]
        assert interactions(events, run_id)[-1]["text"] == "来自服务：帮我做个计划"


@pytest.mark.parametrize("behaviour", ["broken", "busy", "tired"])
async def test_a_provider_that_fails_or_has_too_much_to_do_is_left_alone_for_a_while(
    start_gateway: Callable[..., GatewayClient], behaviour: Behaviour
) -> None:
    with fake_provider() as provider:
        gateway = start_gateway(UNIASSIST_PLAN_PROVIDER_BASE_URL=provider.base_url(behaviour))
        called = []
        for _ in range(6):
            sent = message("帮我做个计划")
            run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
            events = await gateway.when_over(sent["sessionId"], run_id)
            assert run_states(events, run_id) == ["pending", "failed"]
            called.append(len(provider.calls(run_id)))
        assert called == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("make", [deepest, largest])
async def test_what_the_gateway_takes_its_provider_takes(
    start_gateway: Callable[..., GatewayClient], service: Start, database_url: str, make: Callable[[str], Json]
) -> None:
    plan = service("provider-plan")
    gateway = start_gateway(
        UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url,
    )
    run_id = (await gateway.ingest(make("帮我做个计划")))["runs"][0]["runId"]
    with psycopg.connect(database_url, autocommit=True) as connection:

        def status() -> str | None:
            asked = "SELECT status FROM provider_runs WHERE run_id = %s AND status <> 'pending'"
            found = connection.execute(asked, (run_id,)).fetchone()
            return str(found[0]) if found is not None else None

        assert await eventually(status, "the run is over") == "completed"


@pytest.mark.parametrize("make", [deepest, largest])
async def test_what_the_gateway_takes_can_be_followed(gateway: GatewayClient, make: Callable[[str], Json]) -> None:
    sent = make("你好")
    await gateway.ingest(sent)
    async with asyncio.timeout(20):
        first = await anext(sse.follow(gateway.url, sent["sessionId"]))
    assert first.payload["input"] == sent
