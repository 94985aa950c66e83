"""The A2A SDK's own client against a gateway: tasks, streams, questions, drops, a gateway killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from a2a.client import Client, ClientCallContext, ClientConfig, ClientFactory
from a2a.helpers.proto_helpers import get_artifact_text, get_message_text
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import A2AError, TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError
from google.protobuf import json_format, struct_pb2
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.fronts.conftest import FRONTED, when_fronted
from tests.integration.gateway.tokens import bearer
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

SEQ = "uniassist/seq"


@asynccontextmanager
async def agent_at(
    url: str, token: str = "none", *, streaming: bool = True, immediately: bool = False, binding: str = "JSONRPC"
) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {token}"}) as http:
        config = ClientConfig(
            httpx_client=http, streaming=streaming, polling=immediately, supported_protocol_bindings=[binding]
        )
        yield await ClientFactory(config).create_from_url(url)


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
async def agent(fronted: GatewayClient, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with agent_at(fronted.url, binding=request.param) as client:
        yield client


def said(text: str, **more: Any) -> SendMessageRequest:
    message = Message(message_id=unique("m"), role=Role.ROLE_USER, parts=[Part(text=text)], **more)
    return SendMessageRequest(message=message)


async def all_of(client: Client, request: SendMessageRequest) -> list[StreamResponse]:
    return [each async for each in client.send_message(request)]


async def sent(client: Client, request: SendMessageRequest) -> Task:
    """The task as it is in the end."""
    task_id = (await all_of(client, request))[0].task.id
    return await client.get_task(GetTaskRequest(id=task_id))


def texts(task: Task) -> list[str]:
    return [get_artifact_text(artifact) for artifact in task.artifacts]


async def test_the_card_has_a_skill_for_each_provider(fronted: GatewayClient) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        shown = await http.get(f"{fronted.url}/.well-known/agent-card.json", headers={"X-Forwarded-Proto": "https"})
    card = shown.json()
    assert [skill["id"] for skill in card["skills"]] == list(FRONTED)
    assert card["supportedInterfaces"][0]["url"] == f"{fronted.url}/a2a".replace("http:", "https:")
    assert card["capabilities"] == {"streaming": True, "pushNotifications": False}


async def test_a_message_is_a_task_with_what_is_said_as_artifacts(fronted: GatewayClient) -> None:
    async with agent_at(fronted.url, streaming=False) as client:
        [answer] = await all_of(client, said("calm d:a:Good_ e:a:Good_day m:and_more end"))
        task = answer.task
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        assert texts(task) == ["Good_day", "and_more"]
        assert get_message_text(task.history[0]) == "calm d:a:Good_ e:a:Good_day m:and_more end"
        assert await client.get_task(GetTaskRequest(id=task.id)) == task


async def test_a_message_is_streamed_while_it_is_written(agent: Client, streams: StreamingProvider) -> None:
    streams.let_go.clear()
    pieces, finished, last = list[str](), list[str](), None
    async for each in agent.send_message(said("calm d:a:Good_ d:a:morning wait e:a:whole end")):
        last = each
        if each.HasField("artifact_update"):
            update = each.artifact_update
            (finished if update.last_chunk else pieces).append(get_artifact_text(update.artifact))
            if "".join(pieces) == "Good morning":
                streams.let_go.set()  # only now is there a durable event
    assert finished == ["whole"]
    assert last is not None
    assert last.status_update.status.state == TaskState.TASK_STATE_COMPLETED


async def test_a_message_that_is_sent_again_is_the_same_task(agent: Client, streams: StreamingProvider) -> None:
    text = f"calm m:{unique('once')} end"
    request = said(text)
    task = await sent(agent, request)
    assert await sent(agent, request) == task
    assert streams.texts.count(text) == 1


async def test_names_with_colons_are_told_apart(agent: Client) -> None:
    name = unique("context")
    for context_id, message_id, text in ((f"{name}:a", "b", "first"), (name, "a:b", "second")):
        request = said(f"calm m:{text} end", context_id=context_id)
        request.message.message_id = message_id
        task = await sent(agent, request)
        assert (task.context_id, texts(task)) == (context_id, [text])


async def test_a_form_is_input_required_and_the_answer_goes_into_the_task(agent: Client) -> None:
    context_id = unique("context")
    asks = await sent(agent, said("plan a trip to Lisbon", context_id=context_id))
    assert asks.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    assert asks.context_id == context_id
    form = asks.status.message.parts
    assert "Due date" in form[0].text
    assert form[1].data.struct_value["type"] == "provider_extension"
    answer = said("Due date: 2099-03-13", task_id=asks.id)
    task = await sent(agent, answer)
    assert task.id == asks.id
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert any("Plan for “a trip to Lisbon”" in text for text in texts(task))
    assert await sent(agent, answer) == task, "it is answered once"
    listed = await agent.list_tasks(ListTasksRequest(context_id=context_id))
    assert [each.id for each in listed.tasks] == [asks.id]


async def test_a_form_is_filled_in_with_data(agent: Client) -> None:
    """Values by name, as a client has them that shows the schema which is in the status; once."""
    asks = await sent(agent, said("plan a trip to Porto"))
    values = struct_pb2.Value()
    json_format.ParseDict({"dueDate": "2099-03-13"}, values)
    message = Message(message_id=unique("m"), role=Role.ROLE_USER, parts=[Part(data=values)], task_id=asks.id)
    answer = SendMessageRequest(message=message)
    task = await sent(agent, answer)
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert any("Plan for “a trip to Porto”" in text for text in texts(task))
    assert await sent(agent, answer) == task, "it is answered once"


async def test_tasks_are_listed_by_page_and_by_state(agent: Client) -> None:
    context_id = unique("context")
    made = [await sent(agent, said(f"calm m:{n} end", context_id=context_id)) for n in range(3)]
    first = await agent.list_tasks(ListTasksRequest(context_id=context_id, page_size=2, include_artifacts=True))
    rest = await agent.list_tasks(
        ListTasksRequest(context_id=context_id, page_size=2, page_token=first.next_page_token)
    )
    assert [task.id for task in (*first.tasks, *rest.tasks)] == [task.id for task in reversed(made)]
    assert texts(first.tasks[0]) == ["2"]
    assert not rest.tasks[0].artifacts
    working = ListTasksRequest(context_id=context_id, status=TaskState.TASK_STATE_WORKING)
    assert not (await agent.list_tasks(working)).tasks


async def test_a_task_is_cancelled(fronted: GatewayClient, agent: Client, streams: StreamingProvider) -> None:
    streams.let_go.clear()
    request = said("calm wait end")
    request.configuration.CopyFrom(SendMessageConfiguration(return_immediately=True))
    async with agent_at(fronted.url, streaming=False) as patient:
        [answer] = await all_of(patient, request)
    assert answer.task.status.state == TaskState.TASK_STATE_WORKING
    cancelled = await agent.cancel_task(CancelTaskRequest(id=answer.task.id))
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
    with pytest.raises(TaskNotCancelableError):
        await agent.cancel_task(CancelTaskRequest(id=answer.task.id))
    with pytest.raises(UnsupportedOperationError):
        _ = [each async for each in agent.subscribe(SubscribeToTaskRequest(id=answer.task.id))]


async def test_the_answer_to_an_interaction_is_cancelled(
    fronted: GatewayClient, agent: Client, streams: StreamingProvider
) -> None:
    """The task says that it works, so it can be cancelled, though its run has ended before."""
    streams.let_go.clear()
    task = await sent(agent, said("calm card:wait_end end"))
    answer = said("Go", task_id=task.id)
    answer.configuration.CopyFrom(SendMessageConfiguration(return_immediately=True))
    async with agent_at(fronted.url, streaming=False) as patient:
        [response] = await all_of(patient, answer)
    assert response.task.status.state == TaskState.TASK_STATE_WORKING
    cancelled = await agent.cancel_task(CancelTaskRequest(id=task.id))
    assert cancelled.status.state == TaskState.TASK_STATE_COMPLETED, "as its run has"
    with pytest.raises(TaskNotCancelableError):
        await agent.cancel_task(CancelTaskRequest(id=task.id))


async def test_a_stream_goes_on_at_another_gateway_when_its_own_dies(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    agent: Client,
    streams: StreamingProvider,
    http: JsonClient,
) -> None:
    """By the seq of the last event that came: each once, in order, and the same task."""
    streams.let_go.clear()
    victim = service("gateway", **fronts_env)
    await when_fronted(http, victim.url)
    got, seen = list[StreamResponse](), asyncio.Event()

    async def reads(client: Client) -> None:
        async for each in client.send_message(said("calm m:first d:a:half wait e:a:half_and_whole m:last end")):
            got.append(each)
            if each.HasField("artifact_update") and not each.artifact_update.last_chunk:
                seen.set()

    async with agent_at(victim.url) as doomed:
        reading = asyncio.create_task(reads(doomed))
        await asyncio.wait_for(seen.wait(), 60)
        await asyncio.to_thread(victim.kill)
        with pytest.raises(A2AError):
            await reading
    task_id = got[0].task.id
    last = max(int(seq) for each in got if (seq := seq_of(each)) is not None)
    context = ClientCallContext(service_parameters={"Last-Event-ID": str(last)})
    again = asyncio.create_task(collect(agent, task_id, context))
    await eventually(lambda: streams.attempts[task_id] >= 2, "the call is made again", 60)
    streams.let_go.set()
    got += await again
    whole = [each.artifact_update.artifact for each in got if each.artifact_update.last_chunk]
    assert [get_artifact_text(each) for each in whole] == ["first", "half_and_whole", "last"]
    seqs = [seq_of(each) for each in got if each.artifact_update.last_chunk]
    assert seqs == sorted(set(seqs), key=lambda seq: seq or 0)
    assert got[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    assert texts(await agent.get_task(GetTaskRequest(id=task_id))) == ["first", "half_and_whole", "last"]


async def collect(client: Client, task_id: str, context: ClientCallContext) -> list[StreamResponse]:
    subscription = client.subscribe(SubscribeToTaskRequest(id=task_id), context=context)
    return [each async for each in subscription]


def seq_of(response: StreamResponse) -> float | None:
    kind = response.WhichOneof("payload")
    metadata = getattr(response, kind or "task").metadata
    return float(metadata[SEQ]) if SEQ in metadata else None


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_a_task_is_its_persons_only(guarded: GatewayClient, binding: str) -> None:
    mine, other = (bearer(unique("o"))["authorization"].removeprefix("Bearer ") for _ in range(2))
    async with agent_at(guarded.url, mine, binding=binding) as client:
        task = await sent(client, said("hello"))
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
    async with agent_at(guarded.url, other, binding=binding) as client:
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id=task.id))
        assert not (await client.list_tasks(ListTasksRequest())).tasks
    async with agent_at(guarded.url, "no-token", binding=binding) as client:
        with pytest.raises(A2AError, match="401"):
            await client.get_task(GetTaskRequest(id=task.id))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{oops", -32700),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"message/send"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"run-none"}}', -32001),
        (b'{"jsonrpc":"2.0","id":1,"method":"CreateTaskPushNotificationConfig","params":{}}', -32003),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m",'
            b'"role":"ROLE_USER","parts":[{"raw":"AAAA"}]}}}',
            -32005,
        ),
    ],
)
async def test_what_is_wrong_has_its_code(fronted: GatewayClient, body: bytes, code: int) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(f"{fronted.url}/a2a", content=body, headers={"Content-Type": "application/json"})
        assert answer.json()["error"]["code"] == code
        old = await http.post(f"{fronted.url}/a2a", content=body, headers={"A2A-Version": "0.3"})
        assert old.json()["error"]["code"] in (-32009, -32700, -32600)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code", "reason"),
    [
        ("GET", "tasks/run-none", None, {}, 404, "TASK_NOT_FOUND"),
        ("GET", "tasks?pageSize=many", None, {}, 400, "INVALID_PARAMS"),
        ("GET", "tasks/run-none", None, {"A2A-Version": "0.3"}, 400, "VERSION_NOT_SUPPORTED"),
        ("POST", "message:send", b"{oops", {}, 400, "INVALID_PARAMS"),
        (
            "POST",
            "message:stream",
            b'{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"raw":"AAAA"}]}}',
            {},
            400,
            "CONTENT_TYPE_NOT_SUPPORTED",
        ),
    ],
)
async def test_what_is_wrong_by_http_has_its_reason(
    fronted: GatewayClient,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    code: int,
    reason: str,
) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        sent = {"Content-Type": "application/json", **headers}
        answer = await http.request(method, f"{fronted.url}/a2a/{path}", content=body, headers=sent)
    assert answer.status_code == code
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["details"][0]["reason"] == reason
