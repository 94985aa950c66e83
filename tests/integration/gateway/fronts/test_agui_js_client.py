"""`@ag-ui/client`, whose own pipeline checks each event, against a gateway: `make peers-js` brings it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.fronts.agui_peer import AGUI, agui_peer
from tests.integration.gateway.fronts.conftest import when_fronted
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(AGUI is None, reason="make peers-js runs it, with @ag-ui/client from npm"),
]
FOLDER = Path(AGUI or ".")


def spoken(messages: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(each["role"], each.get("content")) for each in messages if each["role"] != "activity"]


async def test_a_run_is_streamed_and_its_thread_goes_on(fronted: GatewayClient, streams: StreamingProvider) -> None:
    streams.let_go.clear()
    async with agui_peer(FOLDER, fronted.url, unique("thread")) as peer:
        running = peer.begin("say", id="m-1", text="calm d:a:Good d:a:day wait e:a:Goodday m:more end")
        await eventually(lambda: peer.texts == ["Goodday"], "it is shown while it is written", 60)
        assert "TEXT_MESSAGE_END" not in peer.kinds
        streams.let_go.set()
        done = await running
        assert spoken(done["messages"]) == [
            ("user", "calm d:a:Good d:a:day wait e:a:Goodday m:more end"),
            ("assistant", "Goodday"),
            ("assistant", "more"),
        ]
        [entry] = done["state"]["uniassist"]["runs"].values()
        assert entry == {"provider": "calm", "status": "completed"}
        second = await peer.do("say", id="m-2", text="calm m:again end")
        assert spoken(second["messages"])[-2:] == [("user", "calm m:again end"), ("assistant", "again")]
        events = await fronted.timeline(streams.calls[-1]["input"]["sessionId"])
        assert [event["kind"] for event in events].count("inbound") == 2


async def test_a_form_interrupts_and_the_client_resumes(fronted: GatewayClient) -> None:
    async with agui_peer(FOLDER, fronted.url, unique("thread")) as peer:
        asks = await peer.do("say", id="m-1", text="plan a trip to Porto")
        [interrupt] = asks["interrupts"]
        assert "dueDate" in interrupt["responseSchema"]["properties"]
        assert [each["activityType"] for each in asks["messages"] if each["role"] == "activity"]
        refused = await peer.do("say", id="m-2", text="calm m:hello end")
        assert "pending interrupt" in refused["error"], "the client wants each answered"
        resume = [{"interruptId": interrupt["id"], "status": "resolved", "payload": {"dueDate": "2099-03-13"}}]
        made = await peer.do("say", resume=resume)
        assert made["interrupts"] == []
        assert any("Plan for" in str(content) for role, content in spoken(made["messages"]) if role == "assistant")


async def test_questions_of_several_are_answered_together(fronted: GatewayClient) -> None:
    async with agui_peer(FOLDER, fronted.url, unique("thread")) as peer:
        asks = await peer.do("say", id="m-1", text="plan rpc ask:Which_day?")
        which, form, question = asks["interrupts"]
        resume = [
            {"interruptId": which["id"], "status": "cancelled"},
            {"interruptId": question["id"], "status": "resolved", "payload": "A:y:Booked done"},
            {"interruptId": form["id"], "status": "resolved", "payload": {"dueDate": "2099-03-13"}},
        ]
        made = await peer.do("say", resume=resume)
        assert ("assistant", "Booked") in spoken(made["messages"])
        assert any("Plan for" in str(content) for _, content in spoken(made["messages"]))


async def test_a_connection_that_breaks_is_taken_up_at_another_gateway(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    fronted: GatewayClient,
    streams: StreamingProvider,
    http: JsonClient,
) -> None:
    streams.let_go.clear()
    victim = service("gateway", **fronts_env)
    await when_fronted(http, victim.url)
    async with agui_peer(FOLDER, victim.url, unique("thread")) as peer:
        running = peer.begin("say", id="m-1", text="calm m:first d:a:half wait e:a:halfwhole m:last end")
        await eventually(lambda: peer.texts == ["first", "half"], "it is half written", 60)
        call = streams.calls[-1]["run"]["runId"]
        await peer.do("move", url=f"{fronted.url}/ag-ui")
        await asyncio.to_thread(victim.kill)
        await eventually(lambda: streams.attempts[call] >= 2, "the call is made again", 90)
        streams.let_go.set()
        done = await running
    assert done["hasEnded"]
    assert [content for role, content in spoken(done["messages"]) if role == "assistant"] == [
        "first",
        "halfwhole",
        "last",
    ]
    assert done["messages"][0]["id"] == "m-1", "what the person wrote stays in its place"
    assert peer.kinds.count("RUN_STARTED") >= 2
    assert peer.kinds.count("RUN_FINISHED") == 1


async def test_leaving_ends_nothing_and_cancelling_does(fronted: GatewayClient, streams: StreamingProvider) -> None:
    streams.let_go.clear()
    async with agui_peer(FOLDER, fronted.url, unique("thread")) as peer:
        running = peer.begin("say", id="m-1", text="calm d:a:half wait e:a:halfwhole end")
        await eventually(lambda: peer.texts == ["half"], "it is half written", 60)
        call = streams.calls[-1]["run"]["runId"]
        await peer.do("abort")
        assert not (await running)["hasEnded"]
        assert call not in streams.hung_up
        connected = peer.begin("connect")
        await eventually(lambda: peer.kinds.count("RUN_STARTED") == 2, "it is back", 60)
        await eventually(lambda: peer.texts == ["half"], "and shows the half again", 60)
        await peer.do("cancel")
        assert (await connected)["hasEnded"]
        assert peer.events[-1]["outcome"] == {"type": "cancelled"}
        await eventually(lambda: call in streams.hung_up, "its provider isn't asked any more", 60)


async def test_a_client_that_connects_has_the_history(fronted: GatewayClient) -> None:
    thread_id = unique("thread")
    async with agui_peer(FOLDER, fronted.url, thread_id) as first:
        asks = await first.do("say", id="m-1", text="plan a trip to Porto")
    async with agui_peer(FOLDER, fronted.url, thread_id) as second:
        found = await second.do("connect")
        assert found["messages"] == asks["messages"]
        assert found["interrupts"] == asks["interrupts"]
        [interrupt] = found["interrupts"]
        made = await second.do("say", resume=[{"interruptId": interrupt["id"], "status": "cancelled"}])
        assert made["interrupts"] == []


async def test_a_refusal_says_which_field(fronted: GatewayClient) -> None:
    async with agui_peer(FOLDER, fronted.url, unique("thread")) as peer:
        refused = await peer.do("once", id="m-1", text=" ", runId="r-1")
        problem = json.loads(refused["error"].partition(": ")[2].partition(": ")[2])
        assert problem["detail"].startswith("messages[0].content")
