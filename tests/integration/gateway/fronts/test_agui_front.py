"""AG-UI over HTTP, its events read with the protocol's own types: runs, interrupts, drops, a gateway killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest
from ag_ui.core import AgentCapabilities, EventType
from ag_ui.core.events import RunFinishedInterruptOutcome
from ag_ui.core.types import ResumeEntry
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.fronts.agui_screen import Screen, again, read, run, run_of
from tests.integration.gateway.fronts.conftest import when_fronted
from tests.integration.gateway.tokens import bearer
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient


@pytest.fixture
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


async def test_a_run_is_an_input_and_its_answer(fronted: GatewayClient, http_client: httpx.AsyncClient) -> None:
    thread_id, run_id = unique("thread"), unique("run")
    body = run_of(thread_id, run_id, "calm d:a:Good d:a:day e:a:Goodday m:more end")
    screen = await run(http_client, fronted.url, body)
    assert screen.finished.outcome is not None
    assert screen.finished.outcome.type == "success"
    assert list(screen.texts.values())[-2:] == ["Goodday", "more"]
    kinds = [event.type for event in screen.events]
    assert kinds.count(EventType.STEP_STARTED) == kinds.count(EventType.STEP_FINISHED) == 1
    assert (await run(http_client, fronted.url, body)).texts == screen.texts, "repeated, it is the same run"
    inbound = [event for event in await fronted.timeline(thread_id) if event["kind"] == "inbound"]
    assert len(inbound) == 1
    told = await again(http_client, fronted.url, thread_id, None, Screen())
    assert list(told.texts.values()) == ["Goodday", "more"]


async def test_text_comes_as_it_is_written(
    fronted: GatewayClient, http_client: httpx.AsyncClient, streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    screen = Screen()
    body = run_of(unique("thread"), unique("run"), "calm d:a:Good_ d:a:morning wait e:a:other end")
    running = asyncio.create_task(run(http_client, fronted.url, body, screen))
    await eventually(lambda: list(screen.texts.values()) == ["Good morning"], "it is shown", 60)
    streams.let_go.set()
    await running
    assert list(screen.texts.values()) == ["Good morning", "other"], "nothing is taken back within a stream"
    assert screen.ended[1] == f"{screen.ended[0]}~2"


async def test_a_form_interrupts_and_its_values_resume(
    fronted: GatewayClient, http_client: httpx.AsyncClient
) -> None:
    thread_id = unique("thread")
    asks = await run(http_client, fronted.url, run_of(thread_id, "r1", "plan a trip to Porto"))
    outcome = asks.finished.outcome
    assert isinstance(outcome, RunFinishedInterruptOutcome)
    [interrupt] = outcome.interrupts
    assert interrupt.response_schema is not None
    assert "dueDate" in interrupt.response_schema["properties"]
    assert any(event.type == EventType.ACTIVITY_SNAPSHOT for event in asks.events)
    values = {"dueDate": "2099-03-13"}
    resume = [ResumeEntry(interrupt_id=interrupt.id, status="resolved", payload=values)]
    body = run_of(thread_id, "r2", resume=resume)
    made = await run(http_client, fronted.url, body)
    assert any("Plan for “a trip to Porto”" in text for text in made.texts.values())
    assert made.finished.outcome is not None
    assert (await run(http_client, fronted.url, body)).texts == made.texts, "it is answered once"
    late = await http_client.post(f"{fronted.url}/ag-ui", json=run_of(thread_id, "r3", resume=resume))
    assert late.status_code == 400
    assert "resume[0].interruptId" in late.json()["detail"]


async def test_a_question_is_answered_in_words(fronted: GatewayClient, http_client: httpx.AsyncClient) -> None:
    thread_id = unique("thread")
    asks = await run(http_client, fronted.url, run_of(thread_id, "r1", "rpc ask:Which_day?"))
    outcome = asks.finished.outcome
    assert isinstance(outcome, RunFinishedInterruptOutcome)
    assert outcome.interrupts[0].message == "Which day?"
    entry = ResumeEntry(interrupt_id=outcome.interrupts[0].id, status="resolved", payload="A:y:Booked done")
    made = await run(http_client, fronted.url, run_of(thread_id, "r2", resume=[entry]))
    assert list(made.texts.values()) == ["Booked"]


async def test_a_run_goes_on_at_another_gateway_when_its_own_dies(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    fronted: GatewayClient,
    http_client: httpx.AsyncClient,
    streams: StreamingProvider,
    http: JsonClient,
) -> None:
    """Each durable event once and in order; what was half written is shown from its beginning, in its place."""
    streams.let_go.clear()
    victim = service("gateway", **fronts_env)
    await when_fronted(http, victim.url)
    thread_id, run_id, screen = unique("thread"), unique("run"), Screen()
    body = run_of(thread_id, run_id, "calm m:first d:a:half wait e:a:half_and_whole m:last end")
    running = asyncio.create_task(run(http_client, victim.url, body, screen))
    await eventually(lambda: list(screen.texts.values()) == ["first", "half"], "it is half written", 60)
    await asyncio.to_thread(victim.kill)
    with pytest.raises(httpx.HTTPError):
        await running
    call = streams.calls[-1]["run"]["runId"]
    resumed = asyncio.create_task(again(http_client, fronted.url, thread_id, run_id, screen, last=screen.last_id))
    await eventually(lambda: streams.attempts[call] >= 2, "the call is made again", 60)
    streams.let_go.set()
    await resumed
    assert list(screen.texts.values()) == ["first", "half_and_whole", "last"]
    assert len(set(screen.durable)) == len(screen.durable), screen.durable
    assert len(screen.ended) == 3
    assert screen.finished.outcome is not None


async def test_a_thread_is_its_persons_only(guarded: GatewayClient, http_client: httpx.AsyncClient) -> None:
    mine, other = bearer(unique("o")), bearer(unique("o"))
    thread_id, screen = unique("thread"), Screen()
    async with http_client.stream(
        "POST", f"{guarded.url}/ag-ui", json=run_of(thread_id, "r1", "hello"), headers=mine
    ) as response:
        await read(screen, response)
    assert screen.finished
    query = {"threadId": thread_id, "runId": "r1"}
    assert (await http_client.get(f"{guarded.url}/ag-ui", params=query, headers=other)).status_code == 404
    assert (await http_client.get(f"{guarded.url}/ag-ui", params=query)).status_code == 401
    shown = await http_client.get(f"{guarded.url}/ag-ui", params={"threadId": thread_id}, headers=other)
    assert '"messages":[]' in shown.text
    assert "RUN_FINISHED" in shown.text


async def test_it_says_that_it_is_resumable(fronted: GatewayClient, http_client: httpx.AsyncClient) -> None:
    shown = AgentCapabilities.model_validate_json((await http_client.get(f"{fronted.url}/ag-ui/capabilities")).text)
    assert shown.transport is not None
    assert shown.transport.resumable is True


async def test_bad_input_names_its_field(fronted: GatewayClient, http_client: httpx.AsyncClient) -> None:
    for body, named in (
        ({"threadId": "t", "messages": []}, "runId"),
        ({"threadId": "t", "runId": "r", "messages": []}, "messages"),
        ({"threadId": "t", "runId": "r", "messages": [{"id": "m", "role": "user", "content": " "}]}, "messages[0]"),
    ):
        answer = await http_client.post(f"{fronted.url}/ag-ui", json=body)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith(named)
