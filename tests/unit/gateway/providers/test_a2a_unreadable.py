"""Whatever an agent answers, the SDK raises what is caught: its own errors, or those of what can't be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from a2a.client import ClientCallContext, ClientConfig, ClientFactory
from a2a.types.a2a_pb2 import AgentCard, AgentInterface, GetTaskRequest, ListTasksRequest
from a2a.utils.errors import A2AError

from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.a2a_cards import BINDINGS, UNREADABLE, Cards
from uniassist.gateway.providers.kinds.a2a_http import new_client
from uniassist.web.calling.client import BadAnswer

DEEP = "[" * 100_000 + "]" * 100_000
RESULTS = (DEEP, '{"id": 3}', '{"id": "\\ud800"}', '{"tasks": {}}', '{"status": {"timestamp": "no"}}', "[1]", "3")


@asynccontextmanager
async def agent(body: str) -> AsyncIterator[str]:
    """Answers everything with the same."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        )
        writer.write(head % len(body.encode()) + body.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result[:20])
async def test_a_task_that_cannot_be_read_raises_what_is_caught(binding: str, result: str) -> None:
    body = f'{{"jsonrpc": "2.0", "id": "1", "result": {result}}}' if binding == "JSONRPC" else result
    async with agent(body) as url, new_client() as http:
        interface = AgentInterface(url=url, protocol_binding=binding, protocol_version="1.0")
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding])
        client = ClientFactory(config).create(AgentCard(name="a", supported_interfaces=[interface]))
        raised = list[BaseException]()
        for asking in (
            client.get_task(GetTaskRequest(id="t"), context=ClientCallContext()),
            client.list_tasks(ListTasksRequest(), context=ClientCallContext()),
        ):
            try:
                await asking
            except (A2AError, *UNREADABLE) as error:
                raised.append(error)
        assert raised, "one of them has no use for it"


async def test_a_card_that_is_nested_too_deep_is_a_bad_answer() -> None:
    async with agent(DEEP) as url, new_client() as http:
        with pytest.raises(BadAnswer):
            await Cards(http).of(Provider("agent", (), url, 1, 5.0, kind="a2a"))
