"""Starting and stopping: a taken port, the order of draining, what ends the wait."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from tests.waiting import eventually

from uniassist.errors import StartError
from uniassist.web.app import create_app
from uniassist.web.health import HealthRegistry
from uniassist.web.protocol import READER_BYTES, BoundedHttpProtocol
from uniassist.web.server import listen, serve

from .conftest import SAMPLE, SampleProcess


def test_a_taken_port_is_one_line_that_names_the_variable(sample: SampleProcess) -> None:
    ended = subprocess.run(
        [sys.executable, str(SAMPLE), str(sample.port)], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"SAMPLE_PORT: port {sample.port}" in ended.stderr


def test_an_address_of_another_machine_is_a_start_error() -> None:
    with pytest.raises(StartError, match="HOST, SAMPLE_PORT: can't listen"):
        listen("192.0.2.1", 8787, port_variable="SAMPLE_PORT")


def test_ipv6_loopback_is_an_address_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = listen("::1", 0, port_variable="SAMPLE_PORT")
    except StartError as error:
        pytest.skip(str(error))
    listener.close()


async def under_way(session: aiohttp.ClientSession) -> asyncio.Future[aiohttp.ClientResponse]:
    """A request that the service has begun to answer, and answers when it is told to stop."""

    async def begun() -> bool:
        async with session.get("/metrics") as response:
            return "sample_waiting 1.0" in await response.text()

    slow = asyncio.ensure_future(session.get("/v0/slow"))
    await eventually(begun, "the request is under way")
    return slow


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_drain_closes_streams_and_finishes_requests(own_sample: SampleProcess, number: int) -> None:
    async with aiohttp.ClientSession(own_sample.url, timeout=aiohttp.ClientTimeout(total=15)) as session:
        stream = await session.get("/v0/stream")
        assert await stream.content.readline() == b"data: first\n"
        slow = await under_way(session)
        own_sample.process.send_signal(number)
        assert b"data: bye" in await stream.content.read()
        async with await slow as response:
            assert await response.json() == {"done": True}
    logged = await asyncio.to_thread(own_sample.finish)
    assert own_sample.process.returncode == 0
    assert "closed what was open" in logged
    assert "Traceback" not in logged


async def test_after_the_signal_nobody_new_gets_in(own_sample: SampleProcess) -> None:
    async with aiohttp.ClientSession(own_sample.url, timeout=aiohttp.ClientTimeout(total=15)) as session:
        slow = await under_way(session)
        own_sample.process.terminate()
        async with await slow as response:
            assert response.status == 200
    await asyncio.to_thread(own_sample.finish)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", own_sample.port)


async def forever(_seconds: float) -> None:
    await asyncio.Event().wait()


async def test_a_service_that_nobody_is_connected_to_ends_when_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when uvicorn's naps are over."""
    monkeypatch.setattr("uvicorn.server.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": forever}))
    listener = listen("127.0.0.1", 0, port_variable="SAMPLE_PORT")
    port = listener.getsockname()[1]
    app = create_app(
        service="sample",
        version="1",
        operations=(),
        health=HealthRegistry(service="sample", version="1", revision="a"),
        metrics=CollectorRegistry(),
    )
    serving = asyncio.create_task(serve(app, listener))
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health/live") as answer:
        assert answer.status == 200
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(60):
        await serving


class Transport(asyncio.Transport):
    closed = aborted = False
    unread_bytes = 0

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes


@pytest.mark.parametrize(("since", "closed"), [(10.0, True), (30.0, False), (None, False)])
def test_a_connection_that_dawdles_is_closed(since: float | None, closed: bool) -> None:
    connection = BoundedHttpProtocol.__new__(BoundedHttpProtocol)
    connection.transport = Transport()
    connection._waiting_since = since
    connection.close_if_waiting_since(20.0)
    assert connection.transport.closed is closed


@pytest.mark.parametrize(
    ("since", "taken_bytes", "aborted"),
    [
        (10.0, 0, True),
        (10.0, READER_BYTES - 1, True),
        (10.0, READER_BYTES, False),
        (30.0, 0, False),
        (None, 0, False),
    ],
)
async def test_a_reader_that_takes_too_little_is_cut_off(
    since: float | None, taken_bytes: int, aborted: bool
) -> None:
    connection = BoundedHttpProtocol.__new__(BoundedHttpProtocol)
    connection.loop = asyncio.get_running_loop()
    connection.transport = Transport()
    connection._unread_since, connection._unread_bytes = since, 2**20
    connection.transport.unread_bytes = 2**20 - taken_bytes
    connection.abort_if_unread_since(20.0)
    assert connection.transport.aborted is aborted
