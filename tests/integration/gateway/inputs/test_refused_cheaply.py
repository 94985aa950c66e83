"""A refused request costs almost nothing, in every service: who it is comes before its body; memory is bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from tests.integration.gateway.client import Json, message
from tests.integration.gateway.tokens import bearer
from tests.processes import ServiceProcess

from uniassist.contracts import bounds, codec
from uniassist.web.calling.client import JsonClient

MIB = 1024 * 1024
NOW = str(int(time.time()))
FORGED = {
    "x-uniassist-signature": "0" * 64,
    "x-uniassist-timestamp": "1",
    "x-uniassist-nonce": "n",
}
# What a stranger sends where: path, headers, and how it is refused.
STRANGERS: list[tuple[str, str, str, dict[str, str], int]] = [
    ("guarded", "POST", "/v0/ingest", {}, 401),
    ("guarded", "POST", "/v0/interact", {}, 401),
    ("guarded", "POST", "/v0/runs/run-1/cancel", {}, 401),
    ("guarded", "POST", "/v0/stream-tickets", {}, 401),
    ("guarded", "POST", "/v0/ingest", bearer("anna", key="z" * 32), 401),
    ("guarded", "POST", "/v0/ingest", FORGED, 401),
    ("guarded", "POST", "/v0/interact", {**FORGED, "x-uniassist-signature": "zz"}, 401),
    ("guarded", "POST", "/v0/events", {}, 401),
    ("guarded", "POST", "/v0/events", {"authorization": "Bearer nobodys"}, 401),
    ("plan", "POST", "/v0/invoke", {}, 401),
    ("plan", "POST", "/v0/interact", {"authorization": "Bearer nobodys"}, 401),
    ("adapter", "POST", "/wechat/webhook?signature=x&timestamp=1&nonce=n", {}, 403),
    ("adapter", "POST", f"/wechat/webhook?signature=x&timestamp={NOW}&nonce=n", {}, 403),
]


@pytest.fixture(scope="module")
def services(
    guarded_process: ServiceProcess, shared_database_url: str, shared_redis_url: str, server_directory: Path
) -> Iterator[dict[str, ServiceProcess]]:
    """Each with a small budget but the guarded gateway, which others use as well."""
    token = {"UNIASSIST_PROVIDER_TOKEN_PLAN": "plan-token-of-the-tests-0123456789", "UNIASSIST_BODIES_MIB": "4"}
    adapter = {
        "DATABASE_URL": shared_database_url,
        "REDIS_URL": shared_redis_url,
        "GATEWAY_URL": guarded_process.url,
        "WECHAT_MEDIA_DIR": str(server_directory / "refused-media"),
        "UNIASSIST_BODIES_MIB": "4",
    }
    with ExitStack() as stack:
        started = {"guarded": guarded_process}
        for name, service, env in (("plan", "provider-plan", token), ("adapter", "adapter-wechat", adapter)):
            process = ServiceProcess(service, server_directory / f"refused-{name}.log", env)
            process.start()
            stack.callback(process.stop)
            started[name] = process
        yield started


async def refusal(process: ServiceProcess, head: bytes, begun: bytes = b"") -> int:
    """The status that a request's head alone is answered with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(process.url).port)
    try:
        writer.write(head + begun)
        async with asyncio.timeout(15):
            return int((await reader.readline()).split()[1])
    finally:
        writer.transport.abort()


def head(method: str, path: str, headers: dict[str, str], length: int) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize(("name", "method", "path", "headers", "status"), STRANGERS, ids=range(len(STRANGERS)))
async def test_a_strangers_body_is_not_waited_for(
    services: dict[str, ServiceProcess], name: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    length = 200 * 1024  # which every service would read
    assert await refusal(services[name], head(method, path, headers, length), b"[" * 1000) == status
    assert await refusal(services[name], head(method, path, headers, 2 * MIB)) == 413, "the size comes first"


def cpu_seconds(process: ServiceProcess) -> float:
    assert process.process.pid is not None
    times = psutil.Process(process.process.pid).cpu_times()
    return float(times.user + times.system)


async def test_a_hundred_megabytes_of_strangers_cost_hardly_any_time(services: dict[str, ServiceProcess]) -> None:
    body = b'{"raw":[' + b"[]," * (MIB // 3 - 10) + b"1]}"
    async with JsonClient() as client:
        for name, path in (("guarded", "/v0/ingest"), ("plan", "/v0/invoke")):
            before = cpu_seconds(services[name])
            for _ in range(20):
                url = f"{services[name].url}{path}"
                answer = await client.request("POST", url, body=body, timeout_seconds=20)
                assert answer.status == 401
            assert cpu_seconds(services[name]) - before < 20 * 0.05, f"{name}: it was 0.4 s and more each"


def deep(values: int) -> Json:
    """The most that a legal body may hold: as many values as are allowed, nested, and all the bytes."""
    sent: Json = message(userId="anna", raw={"many": [[]] * values, "filler": ""})
    sent["raw"]["filler"] = "x" * (bounds.MAX_BODY_BYTES - len(codec.encode(sent)))
    return sent


async def test_the_largest_legal_body_costs_little_all_in_all(services: dict[str, ServiceProcess]) -> None:
    """Two slices of the loop of at most 30 ms each (read, decided), beside what servers and network cost."""
    guarded, times = services["guarded"], 6
    async with JsonClient() as client:
        before = cpu_seconds(guarded)
        for _ in range(times):
            body = codec.encode(deep(bounds.MAX_VALUES - 100))
            url = f"{guarded.url}/v0/ingest"
            answer = await client.request("POST", url, body=body, timeout_seconds=30, headers=bearer("anna"))
            assert answer.status == 200, answer.body
        assert (cpu_seconds(guarded) - before) / times < 0.2


@pytest.mark.parametrize("name", ["plan", "adapter"])
async def test_slow_senders_take_no_more_memory_than_the_budget(
    services: dict[str, ServiceProcess], name: str
) -> None:
    process, size = services[name], 200 * 1024
    token = {"authorization": "Bearer plan-token-of-the-tests-0123456789"}
    path, headers = (
        ("/v0/invoke", token) if name == "plan" else ("/wechat/webhook", {"content-type": "application/json"})
    )
    assert process.process.pid is not None
    about = psutil.Process(process.process.pid)
    before = about.memory_info().rss
    slow = [await asyncio.open_connection("127.0.0.1", process.port) for _ in range(400)]
    try:
        for _, writer in slow:
            writer.write(head("POST", path, headers, size) + b"x" * (size - 1))
        refused = 0
        async with asyncio.timeout(30):
            while refused < 400 - 2 * 4 * MIB // size:
                refused = sum(bool(reader._buffer) for reader, _ in slow)  # type: ignore[attr-defined] # of asyncio's
                await asyncio.sleep(0.05)
        assert await refusal(process, head("GET", "/health/live", {}, 0)) == 200
        assert about.memory_info().rss - before < 40 * MIB, "all of it would be 80 MiB"
        answered = await refusal(process, head("POST", path, headers, 2), b"{}")
        assert answered == 400, "small ones are read all the while"
    finally:
        for _, writer in slow:
            writer.transport.abort()
