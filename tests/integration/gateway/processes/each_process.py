"""The processes of a gateway from outside: a client of each, who they are, what is open at each."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
from tests.integration.gateway.client import GatewayClient, decoded
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.web.calling.client import CallFailed, JsonClient

_SAMPLE = re.compile(r'^(\w+)\{(?:.*,)?process="(\d+)".*\} (\S+)$', re.MULTILINE)


def children(gateway: ServiceProcess) -> list[psutil.Process]:
    assert gateway.process.pid is not None
    return psutil.Process(gateway.process.pid).children()


@asynccontextmanager
async def client_of_each(url: str, count: int) -> AsyncIterator[Sequence[GatewayClient]]:
    """Each keeps one connection, and so stays with the process that took it."""
    found: dict[int, GatewayClient] = {}
    async with AsyncExitStack() as stack:

        async def all_reached() -> bool:
            number, client = await _reached(stack, url)
            found.setdefault(number, client)
            return len(found) == count

        await eventually(all_reached, f"{count} processes are reached", 60)
        yield [found[number] for number in sorted(found)]


async def all_up(url: str, count: int) -> None:
    """Every process takes requests."""

    async def up() -> bool:
        async with JsonClient() as http:
            return list((await samples(http, url, "uniassist_process_up")).values()) == [1.0] * count

    await eventually(up, f"{count} processes are up", 60)


async def samples(http: JsonClient, url: str, name: str) -> dict[int, float]:
    """Of a metric, by process; its other labels are added up."""
    text = (await http.request("GET", f"{url}/metrics", timeout_seconds=10)).body.decode()
    found: dict[int, float] = {}
    for metric, process, value in _SAMPLE.findall(text):
        if metric == name:
            found[int(process)] = found.get(int(process), 0.0) + float(value)
    return found


async def _reached(stack: AsyncExitStack, url: str) -> tuple[int, GatewayClient]:
    client = GatewayClient(await stack.enter_async_context(JsonClient(connection_limit=1)), url)
    return await process_of(client), client


async def process_of(client: GatewayClient) -> int:
    """The number that answers."""

    async def answered() -> int | None:
        try:
            return int(decoded(await client.get("/health"))["process"])
        except CallFailed:  # the one that took the connection was killed
            return None

    return await eventually(answered, "a process answers", 30)
