"""AG-UI's interrupts and cancelling: several at once, one passed over, a client that comes back while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from ag_ui.core.events import RunFinishedInterruptOutcome
from ag_ui.core.types import ResumeEntry
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.fronts.agui_screen import Screen, again, run, run_of
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually


@pytest.fixture
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


def asked(screen: Screen) -> RunFinishedInterruptOutcome:
    assert isinstance(screen.finished.outcome, RunFinishedInterruptOutcome), screen.finished
    return screen.finished.outcome


async def test_what_several_ask_at_once_is_answered_at_once(
    fronted: GatewayClient, http_client: httpx.AsyncClient
) -> None:
    """As a client must that has several interrupts: it may go on only with an entry for each."""
    thread_id = unique("thread")
    outcome = asked(await run(http_client, fronted.url, run_of(thread_id, "r1", "plan rpc ask:Which_day?")))
    which, *of_both = outcome.interrupts
    [form] = [each for each in of_both if each.response_schema is not None]  # whoever is asked first
    [question] = [each for each in of_both if each is not form]
    assert question.message == "Which day?"
    resume = [
        ResumeEntry(interrupt_id=which.id, status="cancelled"),
        ResumeEntry(interrupt_id=question.id, status="resolved", payload="A:y:Booked done"),
        ResumeEntry(interrupt_id=form.id, status="resolved", payload={"dueDate": "2099-03-13"}),
    ]
    body = run_of(thread_id, "r2", resume=resume)
    made = await run(http_client, fronted.url, body)
    assert any("Plan for" in text for text in made.texts.values()), (made.texts, made.events[-1])
    assert "Booked" in made.texts.values()
    assert (await run(http_client, fronted.url, body)).texts == made.texts, "repeated, it is the same"


async def test_what_is_asked_is_passed_over_by_something_else(
    fronted: GatewayClient, http_client: httpx.AsyncClient, streams: StreamingProvider
) -> None:
    thread_id = unique("thread")
    outcome = asked(await run(http_client, fronted.url, run_of(thread_id, "r1", "plan a trip to Porto")))
    passed = [ResumeEntry(interrupt_id=outcome.interrupts[0].id, status="cancelled")]
    other = await run(http_client, fronted.url, run_of(thread_id, "r2", "calm m:instead end", resume=passed))
    assert "instead" in other.texts.values()
    assert streams.calls[-1]["input"]["text"] == "calm m:instead end"


async def test_a_client_that_connects_finds_what_waits_for_it(
    fronted: GatewayClient, http_client: httpx.AsyncClient
) -> None:
    thread_id = unique("thread")
    outcome = asked(await run(http_client, fronted.url, run_of(thread_id, "r1", "plan a trip to Porto")))
    fresh = await again(http_client, fronted.url, thread_id, None, Screen())
    assert asked(fresh).interrupts == outcome.interrupts
    assert [each["content"] for each in fresh.messages if each["role"] == "user"] == ["plan a trip to Porto"]


async def test_a_client_that_connects_follows_what_is_under_way(
    fronted: GatewayClient, http_client: httpx.AsyncClient, streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    thread_id, first, second = unique("thread"), Screen(), Screen()
    body = run_of(thread_id, "r1", "calm m:one d:a:half wait e:a:half_and_whole end")
    running = asyncio.create_task(run(http_client, fronted.url, body, first))
    await eventually(lambda: list(first.texts.values()) == ["one", "half"], "it is half written", 60)
    connected = asyncio.create_task(again(http_client, fronted.url, thread_id, None, second))
    await eventually(lambda: list(second.texts.values()) == ["one", "half"], "the other shows it too", 60)
    streams.let_go.set()
    await asyncio.gather(running, connected)
    assert second.texts == first.texts
    assert [each["id"] for each in second.messages] == [each["id"] for each in first.messages]


async def test_a_run_is_cancelled_by_name_and_not_by_leaving(
    fronted: GatewayClient, http_client: httpx.AsyncClient, streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    thread_id, screen, gone = unique("thread"), Screen(), Screen(until=4)
    body, calls = run_of(thread_id, "r1", "calm d:a:half wait e:a:half_and_whole end"), len(streams.calls)
    await run(http_client, fronted.url, body, gone)
    await eventually(lambda: len(streams.calls) > calls, "its provider is asked", 60)
    call = streams.calls[-1]["run"]["runId"]
    assert call not in streams.hung_up, "who leaves ends nothing"
    following = asyncio.create_task(again(http_client, fronted.url, thread_id, "r1", screen))
    await eventually(lambda: "half" in screen.texts.values(), "it is followed", 60)
    query = {"threadId": thread_id, "runId": "r1"}
    cancelled = await http_client.delete(f"{fronted.url}/ag-ui", params=query)
    assert cancelled.json() == {"runs": [call]}
    await following
    assert screen.finished.outcome is not None
    assert screen.finished.outcome.type == "cancelled"
    await eventually(lambda: call in streams.hung_up, "its provider isn't asked any more", 60)
    assert (await http_client.delete(f"{fronted.url}/ag-ui", params=query)).json() == {"runs": []}
    assert (await http_client.delete(f"{fronted.url}/ag-ui", params=query | {"runId": "r9"})).status_code == 404


async def test_the_answer_to_an_interaction_is_cancelled(
    fronted: GatewayClient, http_client: httpx.AsyncClient, streams: StreamingProvider
) -> None:
    """Its run has ended before; what is under way is the answer to the tap."""
    streams.let_go.clear()
    thread_id, screen = unique("thread"), Screen()
    await run(
        http_client, fronted.url, run_of(thread_id, "r1", "calm card:d:a:half_wait_e:a:half_and_whole_end end")
    )
    call, calls = streams.calls[-1]["run"]["runId"], len(streams.calls)
    tapped = asyncio.create_task(run(http_client, fronted.url, run_of(thread_id, "r2", "Go"), screen))
    await eventually(lambda: "half" in screen.texts.values(), "it is being answered", 60)
    assert streams.calls[calls]["interaction"]["runId"] == call
    query = {"threadId": thread_id, "runId": "r2"}
    assert (await http_client.delete(f"{fronted.url}/ag-ui", params=query)).json() == {"runs": [call]}
    await tapped
    await eventually(lambda: call in streams.hung_up, "its provider isn't asked any more", 60)
    assert (await http_client.delete(f"{fronted.url}/ag-ui", params=query)).json() == {"runs": []}


async def test_names_with_colons_are_told_apart(fronted: GatewayClient, http_client: httpx.AsyncClient) -> None:
    name = unique("thread")
    first = await run(http_client, fronted.url, run_of(f"{name}:a", "b", "calm m:first end"))
    second = await run(http_client, fronted.url, run_of(name, "a:b", "calm m:second end"))
    assert (list(first.texts.values()), list(second.texts.values())) == (["first"], ["second"])


async def test_a_run_that_is_cancelled_elsewhere_ends_its_stream(
    fronted: GatewayClient, http_client: httpx.AsyncClient, streams: StreamingProvider
) -> None:
    """By an operator, or by the person on another channel."""
    streams.let_go.clear()
    thread_id, screen = unique("thread"), Screen()
    body = run_of(thread_id, "r1", "calm d:a:half wait e:a:half_and_whole end")
    running = asyncio.create_task(run(http_client, fronted.url, body, screen))
    await eventually(lambda: "half" in screen.texts.values(), "it is under way", 60)
    call = streams.calls[-1]
    cancellation = {
        "schemaVersion": "v0",
        "traceId": unique("trace"),
        "sessionId": thread_id,
        "userId": call["input"]["userId"],
        "timestampMs": 1,
    }
    done = await http_client.post(f"{fronted.url}/v0/runs/{call['run']['runId']}/cancel", json=cancellation)
    assert done.status_code == 200, done.text
    await asyncio.wait_for(running, 60)
    assert screen.finished.outcome is not None
    assert screen.finished.outcome.type == "cancelled"
