"""Runs that stay open after their provider's answer: progress, late events, and an end in every case."""

from __future__ import annotations

import pytest
from tests.integration.gateway.client import (
    GatewayClient,
    Json,
    decoded,
    interactions,
    now_ms,
    run_states,
    unique,
)
from tests.integration.gateway.streaming.test_streamed_answers import cancel, say, texts
from tests.waiting import eventually


async def opened(gateway: GatewayClient, text: str) -> tuple[str, str]:
    """A session and a run of it that stays open."""
    session_id, run_id = await say(gateway, text)
    await when(gateway, session_id, run_id, "running")
    return session_id, run_id


async def when(gateway: GatewayClient, session_id: str, run_id: str, status: str) -> list[Json]:
    async def is_so() -> list[Json] | None:
        events = await gateway.timeline(session_id)
        return events if run_states(events, run_id)[-1:] == [status] else None

    return await eventually(is_so, f"the run is {status}") or []


def late(session_id: str, run_id: str, **more: object) -> Json:
    return {
        "traceId": unique("late"),
        "sessionId": session_id,
        "userId": "user-1",
        "runId": run_id,
        "timestampMs": now_ms(),
    } | more


def ended(session_id: str, run_id: str, status: str = "completed", **more: object) -> Json:
    return late(session_id, run_id, kind="run", status=status, **more)


def progress(session_id: str, run_id: str, step: int) -> Json:
    extension = {
        "type": "provider_extension",
        "extensionKind": "data_collection_progress",
        "payload": {"progress": {"step": step, "total": 3}},
    }
    return late(session_id, run_id, kind="interaction", event=extension)


@pytest.mark.parametrize("text", ["calm m:begun open", "calm json-open"])
async def test_its_provider_reports_and_ends_it(streaming: GatewayClient, text: str) -> None:
    session_id, run_id = await opened(streaming, text)
    done = ended(session_id, run_id)
    answer = await streaming.report(progress(session_id, run_id, 1), done, provider_id="calm")
    assert decoded(answer)["accepted"] == 2, answer.body
    events = await streaming.timeline(session_id)
    assert run_states(events, run_id) == ["pending", "running", "completed"]
    assert len(interactions(events, run_id)) == 2
    assert decoded(await streaming.report(done, provider_id="calm"))["accepted"] == 1, "sent again it is the same"
    again = await streaming.report(ended(session_id, run_id, "failed"), provider_id="calm")
    assert "the run is completed" in decoded(again)["errors"][0]["message"]
    assert await streaming.timeline(session_id) == events


async def test_its_failure_is_told(streaming: GatewayClient) -> None:
    session_id, run_id = await opened(streaming, "calm open")
    await streaming.report(ended(session_id, run_id, "failed"), provider_id="calm")
    events = await streaming.timeline(session_id)
    assert run_states(events, run_id)[-1] == "failed"
    assert texts(events, run_id) == ["calm could not finish this."]


@pytest.mark.parametrize("text", ["bounded m:begun open", "calm m:begun open:1"])
async def test_its_time_ends_it_once(streaming: GatewayClient, text: str) -> None:
    """By the provider's entry, or by what it said itself."""
    session_id, run_id = await say(streaming, text)
    events = await when(streaming, session_id, run_id, "failed")
    assert run_states(events, run_id) == ["pending", "running", "failed"]
    assert texts(events, run_id)[0] == "begun"
    assert "did not finish in time" in texts(events, run_id)[1]
    answer = await streaming.report(ended(session_id, run_id), provider_id=text.split()[0])
    assert "the run is failed" in decoded(answer)["errors"][0]["message"]


async def test_its_person_ends_it(streaming: GatewayClient) -> None:
    session_id, run_id = await opened(streaming, "calm open")
    await cancel(streaming, session_id, run_id)
    events = await streaming.timeline(session_id)
    assert run_states(events, run_id) == ["pending", "running", "cancelled"]
    answer = await streaming.report(progress(session_id, run_id, 2), ended(session_id, run_id), provider_id="calm")
    assert decoded(answer)["rejected"] == 2
    assert await streaming.timeline(session_id) == events


async def test_nobody_else_ends_it(streaming: GatewayClient) -> None:
    session_id, run_id = await opened(streaming, "calm open")
    for changed, provider_id in (({"userId": "mallory"}, "calm"), ({}, "hasty"), ({"sessionId": "other"}, "calm")):
        answer = await streaming.report(ended(session_id, run_id) | changed, provider_id=provider_id)
        assert decoded(answer)["rejected"] == 1, changed
    answer = await streaming.report(ended(session_id, run_id, "cancelled"), provider_id="calm")
    assert "status" in decoded(answer)["errors"][0]["message"]
    assert run_states(await streaming.timeline(session_id), run_id)[-1] == "running"


async def test_a_run_that_is_over_or_still_asked_for_is_not_ended(streaming: GatewayClient) -> None:
    session_id, run_id = await say(streaming, "calm m:done end")
    await streaming.when_over(session_id, run_id)
    answer = await streaming.report(ended(session_id, run_id), provider_id="calm")
    assert "expected one that stays open" in decoded(answer)["errors"][0]["message"]
