"""A gateway of several processes on one port: one service to whoever writes, follows, scrapes or stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.gateway.client import GatewayClient, decoded, message, seqs, unique
from tests.integration.gateway.processes.each_process import (
    all_up,
    children,
    client_of_each,
    process_of,
    samples,
)
from tests.integration.gateway.sse import follow
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.contracts import codec
from uniassist.web.calling.client import CallFailed, JsonClient

Start = Callable[..., ServiceProcess]
THREE = 3


@pytest.fixture
async def three(
    service: Start, shared_database_url: str, shared_redis_url: str, providers_file: Path
) -> ServiceProcess:
    gateway = service(
        "gateway",
        DATABASE_URL=shared_database_url,
        REDIS_URL=shared_redis_url,
        UNIASSIST_PROVIDERS_FILE=str(providers_file),
        GATEWAY_PROCESSES=str(THREE),
    )
    await all_up(gateway.url, THREE)
    return gateway


async def test_a_burst_of_connections_is_shared_out(three: ServiceProcess) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            GatewayClient(await stack.enter_async_context(JsonClient(connection_limit=1)), three.url)
            for _ in range(45)
        ]
        taken = Counter(await asyncio.gather(*(process_of(client) for client in clients)))
    assert set(taken) == {1, 2, 3}
    assert min(taken.values()) >= 5, taken


async def test_what_comes_in_at_one_process_is_heard_at_all_others(three: ServiceProcess, http: JsonClient) -> None:
    session_id = unique("followed")
    async with AsyncExitStack() as stack, client_of_each(three.url, THREE) as clients:
        followers = []

        async def open_at_all() -> bool:
            followers.append(await stack.enter_async_context(follow(three.url, session_id)))
            return (
                len([n for n in (await samples(http, three.url, "uniassist_sse_connections")).values() if n])
                == THREE
            )

        await eventually(open_at_all, "a follower at each process", 60)
        acks = await asyncio.gather(
            *(clients[n % THREE].ingest(message(f"你好 {n}", sessionId=session_id)) for n in range(12))
        )
        assert {ack["sessionId"] for ack in acks} == {session_id}
        events = await clients[0].timeline(session_id)
        assert seqs(events) == list(range(1, len(events) + 1))
        assert [event["kind"] for event in events].count("inbound") == 12
        for follower in followers:
            await follower.until(lambda f: len(f.seqs) >= len(events), "all events", 30)
            assert follower.seqs[: len(events)] == seqs(events)


async def test_one_key_at_all_processes_at_once_makes_one_input(three: ServiceProcess) -> None:
    async with client_of_each(three.url, THREE) as clients:
        for _ in range(5):
            sent, headers = message("你好"), {"idempotency-key": unique("key")}
            answers = await asyncio.gather(
                *(clients[n % THREE].post("/v0/ingest", sent, headers) for n in range(15))
            )
            assert {answer.status for answer in answers} == {200}
            assert len({answer.body for answer in answers}) == 1
            assert len(await clients[0].timeline(sent["sessionId"])) == 4


async def test_whichever_is_asked_counts_what_all_have_counted(three: ServiceProcess, http: JsonClient) -> None:
    async with client_of_each(three.url, THREE) as clients:
        before = (await clients[0].metrics())["ingest"]["total"]
        for number, client in enumerate(clients):
            for _ in range(number + 1):
                await client.ingest(message())
        for client in clients:
            assert (await client.metrics())["ingest"]["total"] == before + 6
            assert await samples(client.http, three.url, "uniassist_ingest_total") == {1: 1, 2: 2, 3: 3}
    text = (await http.request("GET", f"{three.url}/metrics", timeout_seconds=10)).body.decode()
    assert f"uniassist_gateway_ingest_total {before + 6:.1f}\n" in text
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert [name for name, times in Counter(families).items() if times > 1] == []


async def test_a_killed_process_is_replaced_and_no_acknowledged_input_is_lost(
    three: ServiceProcess, http: JsonClient
) -> None:
    acknowledged: list[tuple[str, str]] = []
    is_over = asyncio.Event()

    async def write(client: GatewayClient) -> None:
        user = unique("user")
        while not is_over.is_set():
            sent = message("你好", userId=user)
            try:
                ack = await client.ingest(sent)
            except CallFailed:  # it was the killed one's; what it had acknowledged counts
                continue
            acknowledged.append((ack["sessionId"], sent["traceId"]))

    async with AsyncExitStack() as stack:
        clients = [
            GatewayClient(await stack.enter_async_context(JsonClient(connection_limit=1)), three.url)
            for _ in range(6)
        ]
        writers = [asyncio.create_task(write(client)) for client in clients]
        try:
            for killed in range(2):
                written = len(acknowledged)
                await eventually(lambda: len(acknowledged) >= written + 20, "inputs are written")  # noqa: B023
                before = {child.pid for child in children(three)}
                os.kill(min(before), signal.SIGKILL)
                await eventually(
                    lambda: len({child.pid for child in children(three)} - before) == 1,  # noqa: B023
                    f"the {killed + 1}. was replaced",
                )
                await all_up(three.url, THREE)
        finally:
            is_over.set()
            await asyncio.gather(*writers)
    async with client_of_each(three.url, THREE):
        """Each takes connections again."""
    assert sum((await samples(http, three.url, "uniassist_process_restarts_total")).values()) == 2
    reader = GatewayClient(http, three.url)
    for session_id, trace_id in acknowledged:
        [inbound] = [event for event in await reader.timeline(session_id) if event["kind"] == "inbound"]
        assert inbound["traceId"] == trace_id
    assert (await reader.metrics())["ingest"]["total"] >= len(acknowledged)  # the killed ones' count as well


async def test_a_process_that_is_away_is_said(three: ServiceProcess, http: JsonClient) -> None:
    """One that is stopped: neither dead, nor able to answer."""
    async with client_of_each(three.url, THREE) as clients:
        victim = sorted(children(three), key=lambda child: child.pid)[0]
        victim.suspend()
        try:

            async def others_say_so() -> bool:
                seen = []
                for client in clients:
                    try:
                        async with asyncio.timeout(1):
                            seen.append(decoded(await client.get("/health")))
                    except TimeoutError:
                        continue
                said = [each for each in seen if each["checks"]["processes"] == "failing"]
                assert all(each["ok"] and each["degraded"] for each in said)
                return len({each["process"] for each in said}) == THREE - 1

            await eventually(others_say_so, "the others say so, and go on", 60)
            up = await samples(http, three.url, "uniassist_process_up")
            assert sorted(up.values()) == [0.0, 1.0, 1.0]
        finally:
            victim.resume()
        await all_up(three.url, THREE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_whole_group_drains_all(three: ServiceProcess, number: signal.Signals) -> None:
    """As a terminal's Ctrl-C and systemd send it: each process gets it, and the parent passes it on as well."""
    session_id = unique("followed")
    async with AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(follow(three.url, session_id)) for _ in range(6)]
        rest = await stack.enter_async_context(_slow_input(three))
        processes = children(three)
        assert three.process.pid is not None
        os.killpg(three.process.pid, number)
        for follower in followers:
            await follower.until(lambda f: f.ended, "its stream is closed in good order", 30)
        await eventually(
            lambda: sum(each.is_running() for each in processes) == 1, "only the one with the slow input is left", 8
        )
        await eventually(lambda: _refused(three), "nobody is left to wait for an answer that won't come", 5)
        assert (await rest()).startswith(b"HTTP/1.1 200 OK")
    await eventually(lambda: not three.process.running, "the parent ends", 30)
    assert three.process.exit_code == 0
    assert not any(each.is_running() for each in processes)
    assert "did not drain" not in three.process.log.read_text()


async def test_children_of_a_killed_parent_drain_and_end(three: ServiceProcess) -> None:
    session_id = unique("followed")
    processes = children(three)
    assert three.process.pid is not None
    async with follow(three.url, session_id) as follower, _slow_input(three) as rest:
        os.kill(three.process.pid, signal.SIGKILL)
        await follower.until(lambda f: f.ended, "its stream is closed in good order", 30)
        assert (await rest()).startswith(b"HTTP/1.1 200 OK")
    await eventually(lambda: not any(each.is_running() for each in processes), "no orphan is left", 30)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", three.port))


async def test_a_child_told_to_end_is_replaced(three: ServiceProcess) -> None:
    """An operator's SIGTERM to one of them."""
    async with client_of_each(three.url, THREE):
        before = children(three)
        before[0].terminate()
        await eventually(lambda: not before[0].is_running(), "it drains")
        await all_up(three.url, THREE)
        assert {child.pid for child in children(three)} & {each.pid for each in before[1:]} == {
            each.pid for each in before[1:]
        }
    async with client_of_each(three.url, THREE):
        """Each takes connections."""


async def _refused(gateway: ServiceProcess) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


@asynccontextmanager
async def _slow_input(gateway: ServiceProcess) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """Half of one is sent; gives what sends the rest, and returns the answer."""
    body = codec.encode(message("你好"))
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)

    async def rest() -> bytes:
        writer.write(body[20:])
        return await asyncio.wait_for(reader.read(), 30)

    head = f"POST /v0/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n"
    try:
        writer.write(head.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")  # a process has it
        writer.write(body[:20])
        await writer.drain()
        yield rest
    finally:
        writer.close()
