"""Agents that speak A2A behind the gateway: what they say, ask, and are told; and who dies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.integration.gateway.client import GatewayClient, Json, interactions, message, now_ms, run_states, unique
from tests.integration.gateway.fronts.conftest import when_fronted
from tests.integration.gateway.provider_entries import entry
from tests.integration.gateway.sse import follow
from tests.processes import ServiceProcess
from tests.scripted_agents import ScriptedAgents, scripted_agents
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient


async def told(gateway: GatewayClient, text: str, **more: Any) -> list[Json]:
    """What the person sees of one message."""
    ack = await gateway.ingest(message(text, **more))
    run_id = ack["runs"][0]["runId"]
    events = await gateway.when_over(ack["sessionId"], run_id)
    return interactions(events, run_id)


@pytest.mark.parametrize("agent", ["rpc", "rest", "plain", "old", "secret"])
async def test_artifacts_and_the_last_words_are_messages(fronted: GatewayClient, agent: str) -> None:
    """By JSON-RPC and HTTP+JSON, streamed and polled, 1.0 and 0.3, with a token."""
    said = await told(fronted, f"{agent} a:x:Once_ a:x:upon_ A:x:a_time done:The_end")
    texts = [each["text"] for each in said]
    assert texts == ["Once upon a time", "The end"]
    assert said[0]["messageId"] == "artifact-0"


async def test_a_message_without_a_task_is_one(fronted: GatewayClient) -> None:
    assert [each["text"] for each in await told(fronted, "rpc say:Hello_there")] == ["Hello there"]


async def test_data_are_cards_and_files_are_links(fronted: GatewayClient) -> None:
    said = await told(fronted, 'rpc data:{"eur":12,"usd":13.5} url:https://files.example/a.pdf raw:a,b')
    assert [each["type"] for each in said] == ["card"] * 3
    assert said[0]["title"] == "figures"
    assert said[0]["body"] == "eur: 12\nusd: 13.5"
    assert said[1]["media"] == [
        {"type": "file", "url": "https://files.example/a.pdf", "mime": "application/pdf", "name": "file.pdf"}
    ]
    assert said[2]["media"][0]["url"] == "data:text/csv;base64,YSxi"


async def test_an_artifact_is_seen_while_it_is_written(fronted: GatewayClient, agents: ScriptedAgents) -> None:
    agents.hold()
    session_id = unique("written")
    async with follow(fronted.url, session_id) as follower:
        ack = await fronted.ingest(message("rpc a:x:Good_ a:x:morning wait A:x:_all", sessionId=session_id))
        await follower.until(lambda f: f.shown == ["Good morning"], "it is shown")
        assert not interactions(follower.events, ack["runs"][0]["runId"])
        agents.let_go()
        await follower.until(lambda f: list(f.finished.values()) == ["Good morning all"], "it is finished")


async def test_a_question_is_answered_into_its_task(fronted: GatewayClient, agents: ScriptedAgents) -> None:
    session_id, name = unique("asked"), unique("flight")
    first = await told(fronted, f"rpc A:x:Looking {name} ask:Which_day?", sessionId=session_id)
    assert [each["type"] for each in first] == ["assistant_message", "request_clarification"]
    assert first[1]["question"] == "Which day?"
    answer = f"on friday A:y:Booked {name} done"
    second = await told(fronted, answer, sessionId=session_id)
    assert [each["text"] for each in second] == ["Booked"], "and nothing again of what was told before"
    asked, answered = (each for each in agents.log if name in each.get("text", ""))
    assert (answered["taskId"], answered["contextId"]) == (asked["taskId"], asked["contextId"])
    await told(fronted, f"rpc {name} done:Fine", sessionId=session_id)
    third = agents.log[-1]
    assert third["contextId"] == asked["contextId"], "the session is one context"
    assert third["taskId"] != asked["taskId"]


async def test_a_form_is_filled_in_into_its_task(fronted: GatewayClient, agents: ScriptedAgents) -> None:
    """By an interaction, or by a text; an agent's schema is the form."""
    for how in ("values", "text"):
        body = message(f"rpc A:x:Looking {unique('form')} form:Which_day?")
        ack = await fronted.ingest(body)
        run_id, session_id = ack["runs"][0]["runId"], ack["sessionId"]
        said = interactions(await fronted.when_over(session_id, run_id), run_id)
        assert [each.get("text") for each in said] == ["Looking", "Which day?", None]
        form = said[2]
        assert form["extensionKind"] == "data_collection_request"
        assert form["payload"]["dataSchema"]["properties"]["seats"]["minimum"] == 1
        if how == "text":
            answer = await told(fronted, f"friday {unique('form')} A:z:Noted done", sessionId=session_id)
            assert [each["text"] for each in answer] == ["Noted"]
        else:
            payload = {"taskId": form["payload"]["taskId"], "values": {"day": "friday", "seats": 2}}
            await fronted.post(
                "/v0/interact",
                {
                    "schemaVersion": "v0",
                    "traceId": unique("trace"),
                    "sessionId": session_id,
                    "userId": body["userId"],
                    "providerId": "rpc",
                    "runId": run_id,
                    "actionId": "submit_data_collection",
                    "payload": payload,
                    "timestampMs": now_ms(),
                },
            )

            async def answered(session_id: str = session_id, run_id: str = run_id) -> list[Json] | None:
                found = interactions(await fronted.timeline(session_id), run_id)[3:]
                return found if len(found) == 2 else None

            last = await eventually(answered, "it is answered", 60)
            assert [each["text"] for each in last] == ['{"day":"friday","seats":2.0}', "Thanks"]
        assert agents.log[-1]["taskId"] == form["payload"]["taskId"]


async def test_what_needs_signing_in_is_said_plainly(fronted: GatewayClient) -> None:
    session_id = unique("auth")
    said = await told(fronted, "rpc please auth:Open_https://login.example", sessionId=session_id, locale="en")
    assert "rpc needs you to sign in" in said[0]["text"]
    assert said[1]["text"] == "Open https://login.example"
    assert [each["text"] for each in await told(fronted, "done:Thanks", sessionId=session_id)] == ["Thanks"]


async def test_what_it_refuses_or_fails_at_is_said(fronted: GatewayClient) -> None:
    assert [each["text"] for each in await told(fronted, "rpc reject:Not_my_job")] == ["Not my job"]
    ack = await fronted.ingest(message("rpc fail:The_engine_broke"))
    run_id = ack["runs"][0]["runId"]
    events = await fronted.when_over(ack["sessionId"], run_id)
    assert run_states(events, run_id)[-1] == "failed"
    assert interactions(events, run_id)[0]["userMessage"] == "The engine broke"


async def test_it_is_told_that_its_person_cancelled(
    fronted: GatewayClient, agents: ScriptedAgents, database: psycopg.Connection
) -> None:
    agents.hold()
    text = f"rpc {unique('cancel')} work:Looking wait"
    body = message(text)
    ack = await fronted.ingest(body)
    got = await eventually(lambda: agents.messages(text), "the agent has it", 60)
    run_id = ack["runs"][0]["runId"]
    assert got[0]["messageId"] == run_id

    query = "SELECT remote ->> 'taskId' FROM provider_runs WHERE run_id = %s"
    await eventually(lambda: (database.execute(query, [run_id]).fetchone() or [None])[0], "its task is known", 60)
    cancelled = {
        "schemaVersion": "v0",
        "traceId": unique("trace"),
        "sessionId": ack["sessionId"],
        "userId": body["userId"],
        "timestampMs": now_ms(),
    }
    answer = await fronted.post(f"/v0/runs/{run_id}/cancel", cancelled)
    assert answer.status == 200
    await eventually(lambda: {"cancelled": got[0]["taskId"]} in agents.log, "its task is cancelled", 60)


@pytest.mark.parametrize("agent", ["rpc", "rest", "plain", "old"])
async def test_a_gateway_that_dies_sends_nothing_twice(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    fronted: GatewayClient,
    agents: ScriptedAgents,
    http: JsonClient,
    agent: str,
) -> None:
    agents.hold()
    victim = service("gateway", **fronts_env)
    await when_fronted(http, victim.url)
    text = f"{agent} {unique('dies')} A:x:first a:y:half wait A:y:_and_half done:The_end"
    ack = await GatewayClient(http, victim.url).ingest(message(text))
    run_id, session_id = ack["runs"][0]["runId"], ack["sessionId"]
    await eventually(lambda: agents.messages(text), "the agent has it", 60)
    if agent != "plain":

        async def is_written() -> bool:
            return bool(interactions(await fronted.timeline(session_id), run_id))

        await eventually(is_written, "its first artifact is on the timeline", 60)
    await asyncio.to_thread(victim.kill)
    agents.let_go()
    said = interactions(await fronted.when_over(session_id, run_id), run_id)
    assert [each["text"] for each in said] == ["first", "half and half", "The end"]
    assert len(agents.messages(text)) == 1


async def test_an_agent_that_dies_before_it_says_anything_gets_nothing_twice(
    start_gateway: Callable[..., GatewayClient], tmp_path: Path
) -> None:
    """It has the message, and the gateway doesn't know that: the task is looked for once the agent is back."""
    with scripted_agents(tmp_path) as doomed:
        file = tmp_path / "providers.toml"
        file.write_text(entry("kept", "kept", f"{doomed.url}/kept", kind='"a2a"', timeout_ms="20000"), "utf-8")
        gateway = start_gateway(UNIASSIST_PROVIDERS_FILE=str(file))
        text = f"kept {unique('unheard')} dies-unheard A:x:first done:last"
        ack = await gateway.ingest(message(text))
        await eventually((tmp_path / "died").exists, "the agent has it, and is dead", 60)
        await asyncio.to_thread(doomed.restart)
        run_id = ack["runs"][0]["runId"]
        said = interactions(await gateway.when_over(ack["sessionId"], run_id), run_id)
        assert [each["text"] for each in said] == ["first", "last"]
        assert [list(each) for each in doomed.log] == [["wokeUp"]], "it was never sent again"


async def test_an_agent_whose_card_sends_elsewhere_is_not_called(
    start_gateway: Callable[..., GatewayClient], agents: ScriptedAgents, tmp_path: Any
) -> None:
    """Or whose card asks for credentials that there are none of; said in the log, and to the person."""
    port = agents.url.rpartition(":")[2]
    path = tmp_path / "providers.toml"
    path.write_text(
        f"""
[[provider]]
id = "elsewhere"
keywords = ["elsewhere"]
kind = "a2a"
base_url = "http://localhost:{port}/rpc"

[[provider]]
id = "named"
keywords = ["named"]
kind = "a2a"
base_url = "http://localhost:{port}/rpc"
endpoint = "{agents.url}/rpc/call"
timeout_ms = 20000

[[provider]]
id = "closed"
keywords = ["closed"]
kind = "a2a"
base_url = "{agents.url}/secret"
""",
        "utf-8",
    )
    gateway = start_gateway(UNIASSIST_PROVIDERS_FILE=str(path))
    for name in ("elsewhere", "closed"):
        text = f"{name} {unique('never')} done"
        ack = await gateway.ingest(message(text))
        run_id = ack["runs"][0]["runId"]
        events = await gateway.when_over(ack["sessionId"], run_id)
        assert run_states(events, run_id)[-1] == "failed"
        assert not agents.messages(text)
    assert [each["text"] for each in await told(gateway, "named done:Here")] == ["Here"]
