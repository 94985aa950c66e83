"""Agents whose streams end before their tasks do: what comes later is told by a push, to whichever gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from tests.integration.gateway.client import GatewayClient, Json, interactions, message, unique
from tests.integration.gateway.fronts.conftest import when_fronted
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.scripted_agents import ScriptedAgents, scripted_agents
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient


@pytest.fixture
def pushers(tmp_path: Path) -> Iterator[ScriptedAgents]:
    with scripted_agents(tmp_path) as found:
        yield found


def calls(agents: ScriptedAgents) -> list[Json]:
    return [json.loads(line) for line in (agents.folder / "calls").read_text("utf-8").splitlines()]


def looks(agents: ScriptedAgents) -> int:
    return sum(each["method"] == "GetTask" for each in calls(agents))


async def test_what_comes_after_a_stream_ended_is_pushed(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    pushers: ScriptedAgents,
    http: JsonClient,
    tmp_path: Path,
) -> None:
    """The gateway that is told isn't the one that follows."""
    file = tmp_path / "providers.toml"
    file.write_text(entry("pushes", "pushes", f"{pushers.url}/pushes", kind='"a2a"', timeout_ms="20000"), "utf-8")
    env = dict(fronts_env) | {"UNIASSIST_PROVIDERS_FILE": str(file)}
    told = service("gateway", **env, GATEWAY_PUBLIC_URL="http://127.0.0.1:9")
    follows = service("gateway", **env, GATEWAY_PUBLIC_URL=told.url)
    for process in (told, follows):
        await when_fronted(http, process.url, 1)
    gateway = GatewayClient(http, follows.url)
    ack = await gateway.ingest(message(f"pushes {unique('later')} A:x:first wait A:y:second done:last"))
    run_id, session_id = ack["runs"][0]["runId"], ack["sessionId"]
    await eventually((tmp_path / "calls").exists, "the agent is asked", 60)
    await eventually(lambda: calls(pushers)[-1]["method"] == "SubscribeToTask", "its stream has ended", 60)
    before = looks(pushers)
    [sent] = [each for each in calls(pushers) if each["method"] == "SendStreamingMessage"]
    assert sent["url"] == f"{told.url}/a2a/pushed/{run_id}"

    async with httpx.AsyncClient() as client:
        other = sent["url"].replace(run_id, "run-another")
        right = {"X-A2A-Notification-Token": sent["token"]}
        for shown in ({}, {"X-A2A-Notification-Token": "0" * 48}):
            assert (await client.post(sent["url"], headers=shown, content=b"{}")).status_code == 401
        assert (await client.post(other, headers=right)).status_code == 401, "it is that run's only"
        # Whatever it says isn't believed.
        lies = {"statusUpdate": {"taskId": "x", "status": {"state": "TASK_STATE_FAILED"}}}
        assert (await client.post(sent["url"], headers=right, json=lies)).status_code == 200
    await eventually(lambda: looks(pushers) > before, "the task is looked up", 60)
    before = looks(pushers)

    pushers.let_go()
    said = interactions(await gateway.when_over(session_id, run_id), run_id)
    assert [each["text"] for each in said] == ["first", "second", "last"]
    assert looks(pushers) - before <= 5, "a look for what was pushed, and no more"
    assert len(pushers.log) == 1


async def test_an_agent_that_pushes_is_asked_where_the_gateway_has_no_address(
    start_gateway: Callable[..., GatewayClient], pushers: ScriptedAgents, tmp_path: Path
) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(entry("pushes", "pushes", f"{pushers.url}/pushes", kind='"a2a"', timeout_ms="20000"), "utf-8")
    gateway = start_gateway(UNIASSIST_PROVIDERS_FILE=str(file))
    ack = await gateway.ingest(message(f"pushes {unique('asked')} A:x:first wait A:y:second done:last"))
    await eventually((tmp_path / "calls").exists, "the agent is asked", 60)
    await eventually(lambda: looks(pushers) > 1, "its task is looked up", 60)
    pushers.let_go()
    run_id = ack["runs"][0]["runId"]
    said = interactions(await gateway.when_over(ack["sessionId"], run_id), run_id)
    assert [each["text"] for each in said] == ["first", "second", "last"]
    assert {each["url"] for each in calls(pushers)} == {None}
