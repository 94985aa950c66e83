"""`@a2a-js/sdk` at both ends: an agent of its server behind the gateway, its client before it. `make peers-js`."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.client import GatewayClient, Json, interactions, message, now_ms, unique
from tests.integration.gateway.fronts.conftest import when_fronted
from tests.integration.gateway.provider_entries import entry
from tests.integration.gateway.sse import follow
from tests.ports import free_port
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.devstack.server import ServerProcess
from uniassist.web.calling.client import JsonClient

FOLDER = os.environ.get("UNIASSIST_JS_PEERS")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="make peers-js runs it, with @a2a-js/sdk from npm")
BEHIND = ("rpc", "rest")
SEQ = "uniassist/seq"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Where it is, and what it logs."""
    folder, port = tmp_path_factory.mktemp("js"), free_port()
    log = folder / "log"
    process = ServerProcess("js-agent", folder / "out")
    process.spawn(["node", f"{FOLDER}/agent.mjs", str(port), str(log)], env={"PATH": os.environ["PATH"]})
    url = f"http://127.0.0.1:{port}"
    process.wait_ready(lambda: _answers(f"{url}/rpc/.well-known/agent-card.json"))
    yield url, log
    process.stop(deadline_seconds=10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
async def gateway(
    start_gateway: Callable[..., GatewayClient], agent: tuple[str, Path], http: JsonClient, tmp_path: Path
) -> GatewayClient:
    file = tmp_path / "providers.toml"
    entries = [entry(name, name, f"{agent[0]}/{name}", kind='"a2a"', timeout_ms="20000") for name in BEHIND]
    file.write_text("".join(entries), "utf-8")
    gateway = start_gateway(UNIASSIST_PROVIDERS_FILE=str(file))
    await when_fronted(http, gateway.url, len(BEHIND))
    return gateway


async def told(gateway: GatewayClient, text: str, **more: Any) -> tuple[Json, list[Json]]:
    """What a message is answered with at first, and what its person sees of it."""
    ack = await gateway.ingest(message(text, **more))
    run_id = ack["runs"][0]["runId"]
    return ack, interactions(await gateway.when_over(ack["sessionId"], run_id), run_id)


def logged(agent: tuple[str, Path]) -> list[Json]:
    return [json.loads(line) for line in agent[1].read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", BEHIND)
async def test_an_agent_in_javascript_says_asks_and_gives(
    gateway: GatewayClient, agent: tuple[str, Path], name: str
) -> None:
    session_id = unique("js")
    async with follow(gateway.url, session_id) as follower:
        _, said = await told(gateway, f"{name} a:x:Good_ A:x:morning raw:a,b ask:Which_day?", sessionId=session_id)
        assert "".join(follower.shown) in ("", "Good ", "Good morning")
    assert [each.get("text") or each.get("question") or each["type"] for each in said] == [
        "Good morning",
        "card",
        "Which day?",
    ]
    assert said[1]["media"][0]["url"] == "data:text/csv;base64,YSxi"
    _, answer = await told(gateway, "friday A:y:Booked done:Bye", sessionId=session_id)
    assert [each["text"] for each in answer] == ["Booked", "Bye"]
    asked, answered = logged(agent)[-2:]
    assert answered["taskId"] == asked["taskId"]


@pytest.mark.parametrize("name", BEHIND)
async def test_an_agent_in_javascript_has_its_form_filled_in(
    gateway: GatewayClient, agent: tuple[str, Path], name: str
) -> None:
    ack, said = await told(gateway, f"{name} form:Which_day?")
    assert said[1]["payload"]["dataSchema"]["required"] == ["day"]
    run_id, session_id = ack["runs"][0]["runId"], ack["sessionId"]
    interaction = {
        "schemaVersion": "v0",
        "traceId": unique("trace"),
        "sessionId": session_id,
        "userId": ack["userId"],
        "providerId": name,
        "runId": run_id,
        "actionId": "submit_data_collection",
        "payload": {"values": {"day": "friday"}},
        "timestampMs": now_ms(),
    }
    await gateway.post("/v0/interact", interaction)

    async def answered() -> list[str] | None:
        found = interactions(await gateway.timeline(session_id), run_id)[2:]
        return [each["text"] for each in found] if len(found) == 2 else None

    assert await eventually(answered, "it is answered", 60) == ['{"day":"friday"}', "Thanks"]


@pytest.mark.parametrize("name", BEHIND)
async def test_an_agent_in_javascript_is_told_of_a_cancellation(
    gateway: GatewayClient, agent: tuple[str, Path], name: str
) -> None:
    text = f"{name} {unique('cancel')} A:x:first wait"
    ack = await gateway.ingest(message(text))
    run_id, session_id = ack["runs"][0]["runId"], ack["sessionId"]

    async def has_begun() -> bool:
        return bool(interactions(await gateway.timeline(session_id), run_id))

    await eventually(has_begun, "its first words are there", 60)
    cancellation = {
        "schemaVersion": "v0",
        "traceId": unique("trace"),
        "sessionId": session_id,
        "userId": ack["userId"],
        "timestampMs": now_ms(),
    }
    assert (await gateway.post(f"/v0/runs/{run_id}/cancel", cancellation)).status == 200
    [got] = [each for each in logged(agent) if each.get("text") == text]
    await eventually(lambda: {"cancelled": got["taskId"]} in logged(agent), "its task is cancelled", 60)


@dataclass
class JsClient:
    """`tests/js_peers/client.mjs`."""

    process: asyncio.subprocess.Process

    async def call(self, name: str, params: Json, **headers: str) -> AsyncIterator[Json]:
        """What comes of it, until its end. AssertionError: what it raised."""
        assert self.process.stdin is not None
        asked = {"call": name, "params": params, "headers": headers}
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        while True:  # ends: with the call, or the test's deadline
            answer = await self.line()
            assert "error" not in answer, answer
            if "end" in answer:
                return
            yield answer

    async def all(self, name: str, params: Json, **headers: str) -> list[Json]:
        return [each async for each in self.call(name, params, **headers)]

    async def line(self) -> Json:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        found: Json = json.loads(line)
        return found


@asynccontextmanager
async def js_client(url: str, transport: str) -> AsyncIterator[JsClient]:
    process = await asyncio.create_subprocess_exec(
        "node",
        f"{FOLDER}/client.mjs",
        url,
        transport,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        client = JsClient(process)
        assert await client.line() == {"card": "UniAssist", "transport": transport}
        yield client
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
async def client(fronted: GatewayClient, request: pytest.FixtureRequest) -> AsyncIterator[JsClient]:
    async with js_client(fronted.url, request.param) as found:
        yield found


def said(text: str, **more: str) -> Json:
    return {"message": {"messageId": unique("m"), "role": "ROLE_USER", "parts": [{"text": text}], **more}}


def wholes(answers: list[Json]) -> list[Json]:
    return [each["artifactUpdate"] for each in answers if each.get("artifactUpdate", {}).get("lastChunk")]


async def test_a_client_in_javascript_sees_a_message_while_it_is_written(
    client: JsClient, streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    pieces, answers = "", list[Json]()
    async for each in client.call("stream", said("calm d:a:Good_ d:a:morning wait e:a:whole m:more end")):
        answers.append(each)
        update = each.get("artifactUpdate", {})
        if update and not update.get("lastChunk"):
            pieces += update["artifact"]["parts"][0]["text"]
            if pieces == "Good morning":
                streams.let_go.set()
    assert [each["artifact"]["parts"][0]["text"] for each in wholes(answers)] == ["whole", "more"]
    assert answers[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    task_id = answers[0]["task"]["id"]
    last = wholes(answers)[0]["metadata"][SEQ]
    again = await client.all("subscribe", {"id": task_id}, **{"Last-Event-ID": str(last)})
    assert [each["artifact"]["parts"][0]["text"] for each in wholes(again)] == ["more"]


async def test_a_client_in_javascript_is_asked_and_answers(client: JsClient) -> None:
    for asks, answer in (("rpc ask:Which_day?", "friday A:x:Booked done"), ("plan a trip", "Due date: 2099-03-13")):
        *_, last = await client.all("stream", said(asks))
        status = last["statusUpdate"]["status"]
        assert status["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert status["message"]["parts"][0]["text"]
        task_id = last["statusUpdate"]["taskId"]
        answers = await client.all("stream", said(answer, taskId=task_id))
        assert answers[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
        assert wholes(answers)


async def test_a_client_in_javascript_gets_a_file(client: JsClient) -> None:
    answers = await client.all("stream", said("rpc raw:a,b"))
    [whole] = wholes(answers)
    media = whole["artifact"]["parts"][-1]["data"]["media"]
    assert media[0]["url"] == "data:text/csv;base64,YSxi"


async def test_a_client_in_javascript_cancels(client: JsClient, streams: StreamingProvider) -> None:
    streams.let_go.clear()
    request = said("calm wait end") | {"configuration": {"returnImmediately": True}}
    [task] = await client.all("send", request)
    [cancelled] = await client.all("cancel", {"id": task["id"]})
    assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"
    [found] = await client.all("get", {"id": task["id"]})
    assert found["status"]["state"] == "TASK_STATE_CANCELED"
