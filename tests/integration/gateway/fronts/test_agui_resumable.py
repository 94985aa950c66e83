"""`resumable` is meant: a connection that breaks after any event is taken up again there, and nothing differs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from ag_ui.core.events import RunFinishedInterruptOutcome
from ag_ui.core.types import ResumeEntry
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.fronts.agui_screen import Screen, again, run, run_of
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

STORY = "calm m:first d:a:half d:a:written wait e:a:halfwritten m:last end"


@pytest.fixture
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


def shown(screen: Screen) -> str:
    """All that the person sees, with our own ids replaced by their order."""
    text = json.dumps([screen.messages, screen.state, str(screen.finished.outcome)], sort_keys=True)
    names = [each["id"].partition(":")[0] for each in screen.messages if each["role"] != "user"]
    names += list(screen.state["uniassist"]["runs"])
    for number, name in enumerate(dict.fromkeys(names)):
        text = text.replace(name, f"ours-{number}")
    for each in screen.messages:
        text = text.replace(each["id"], "theirs") if each["role"] == "user" else text
    return text


def is_half_written(screen: Screen) -> bool:
    return "halfwritten" in screen.texts.values()


async def test_a_run_that_is_over_is_the_same_from_each_of_its_events(
    fronted: GatewayClient, http_client: httpx.AsyncClient
) -> None:
    thread_id = unique("thread")
    asks = run_of(thread_id, "r1", "plan a trip to Porto")
    whole = await run(http_client, fronted.url, asks)
    assert isinstance(whole.finished.outcome, RunFinishedInterruptOutcome)
    for count in range(1, len(whole.events)):
        part = await run(http_client, fronted.url, asks, Screen(until=count))
        assert len(part.events) == count
        part.until = None
        await again(http_client, fronted.url, thread_id, "r1", part, last=part.last_id)
        assert shown(part) == shown(whole), f"broken after {part.events[count - 1]}"
        assert part.durable == whole.durable, "each durable event once, and none missing"
    entry = ResumeEntry(
        interrupt_id=whole.finished.outcome.interrupts[0].id, status="resolved", payload={"dueDate": "2099-03-13"}
    )
    answer = run_of(thread_id, "r2", resume=[entry])
    made = await run(http_client, fronted.url, answer, Screen(messages=list(whole.messages), state={}))
    for count in range(1, len(made.events)):
        part = await run(http_client, fronted.url, answer, Screen(messages=list(whole.messages), until=count))
        part.until = None
        await again(http_client, fronted.url, thread_id, "r2", part, last=part.last_id)
        assert shown(part) == shown(made), f"broken after {part.events[count - 1]}"
        assert part.durable == made.durable


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_run_under_way_is_taken_up_after_each_of_its_events(
    fronted: GatewayClient, http_client: httpx.AsyncClient, streams: StreamingProvider
) -> None:
    """Cut after its first event, its second, and so on until none is left to cut off."""
    streams.let_go.set()
    whole = await run(http_client, fronted.url, run_of(unique("thread"), "r", STORY))
    assert [each["content"] for each in whole.messages][1:] == ["first", "halfwritten", "last"]
    count, is_cut = 0, True
    while is_cut:  # ends: a run has some twenty events
        count += 1
        streams.let_go.clear()
        thread_id, part = unique("thread"), Screen(until=count)
        cut = asyncio.create_task(run(http_client, fronted.url, run_of(thread_id, "r", STORY), part))
        await eventually(lambda: cut.done() or is_half_written(part), "it is cut, or half written", 60)  # noqa: B023
        if cut.done():
            part.until = None
            rest = asyncio.create_task(again(http_client, fronted.url, thread_id, "r", part, last=part.last_id))
            await eventually(lambda: is_half_written(part), "it is half written", 60)  # noqa: B023
            streams.let_go.set()
            await rest
        else:
            streams.let_go.set()
            await cut
            is_cut = part.is_full and part.events[-1].type != "RUN_FINISHED"
            if is_cut:
                part.until = None
                await again(http_client, fronted.url, thread_id, "r", part, last=part.last_id)
        assert shown(part) == shown(whole), f"broken after {count} events, {part.events[count - 1]}"
        assert part.durable == sorted(set(part.durable), key=int)
        assert len(part.durable) == len(whole.durable), "none missing"
    assert count > len(whole.events) - 3


async def test_an_id_that_is_none_of_ours_is_refused(
    fronted: GatewayClient, http_client: httpx.AsyncClient
) -> None:
    thread_id = unique("thread")
    await run(http_client, fronted.url, run_of(thread_id, "r", "calm m:one end"))
    for last in ("x", "1.", "-1", "9" * 40):
        refused = await http_client.get(
            f"{fronted.url}/ag-ui",
            params={"threadId": thread_id, "runId": "r"},
            headers={"Last-Event-ID": last},
        )
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith("Last-Event-ID")
