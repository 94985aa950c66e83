"""The app factory over real HTTP: what every service answers, whatever is asked of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from .conftest import SampleProcess

INPUT = {
    "schemaVersion": "v0",
    "traceId": "trace-1",
    "userId": "user-1",
    "sessionId": "session-1",
    "source": "app",
    "timestampMs": 1,
}


@pytest.fixture
async def client(sample: SampleProcess) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sample.url, timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(await response.read())
    assert response.content_type == "application/problem+json"
    assert (response.status, body["status"], body["code"]) == (status, status, code)
    assert body["schemaVersion"] == "v0"
    assert body["type"] == f"urn:uniassist:problem:{code.lower().replace('_', '-')}"
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in json.dumps(body)
    return body


async def test_a_good_input_passes(client: aiohttp.ClientSession) -> None:
    async with client.post("/v0/echo", json=INPUT) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "server" not in response.headers
        assert await response.json() == INPUT


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"\xff", "body"),
        (b'{"schemaVersion": "v0"}', "traceId"),
        (json.dumps(INPUT | {"userId": 5}).encode(), "userId"),
        (json.dumps(INPUT | {"text": "\x00"}).encode(), "U+0000"),
    ],
)
async def test_a_bad_body_names_the_field(client: aiohttp.ClientSession, body: bytes, field: str) -> None:
    async with client.post("/v0/echo", data=body) as response:
        assert field in (await problem(response, 400, "INVALID_REQUEST"))["detail"]


async def test_any_content_type_is_taken(client: aiohttp.ClientSession) -> None:
    async with client.post("/v0/echo", data=json.dumps(INPUT), headers={"Content-Type": "text/weird"}) as response:
        assert response.status == 200


async def test_errors_after_decoding_carry_the_trace_id(client: aiohttp.ClientSession) -> None:
    async with client.post("/v0/echo", json=INPUT | {"sessionId": "unknown"}) as response:
        assert (await problem(response, 404, "SESSION_NOT_FOUND"))["traceId"] == "trace-1"


async def test_a_bug_shows_nothing_of_the_inside(client: aiohttp.ClientSession) -> None:
    async with client.post("/v0/echo", json=INPUT | {"sessionId": "boom"}) as response:
        body = await problem(response, 500, "INTERNAL")
    assert body["traceId"] == "trace-1"
    assert "secret" not in json.dumps(body)


async def test_retry_later_says_when(client: aiohttp.ClientSession) -> None:
    async with client.get("/v0/busy") as response:
        await problem(response, 503, "UNAVAILABLE")
        assert response.headers["Retry-After"] == "7"


async def test_a_body_over_the_limit_is_refused_and_the_answer_arrives(client: aiohttp.ClientSession) -> None:
    async with client.post("/v0/echo", data=io.BytesIO(b" " * (2 * 1024 * 1024))) as response:
        await problem(response, 413, "PAYLOAD_TOO_LARGE")
        assert "connection" not in response.headers, "the rest of the body is passed over"


async def test_a_body_without_length_is_refused_at_the_limit_too(client: aiohttp.ClientSession) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield b" " * 65536

    async with client.post("/v0/echo", data=pieces()) as response:
        await problem(response, 413, "PAYLOAD_TOO_LARGE")


async def test_an_endless_body_is_cut_off(sample: SampleProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sample.port)
    writer.write(b"POST /v0/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    sent, limit = 0, 32 * 1024 * 1024
    # how it learns of it is the network's choice: the 413, or a reset that overtook it
    answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    async with asyncio.timeout(10):
        while not answer.done() and sent < limit:
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            sent += 65536
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            assert (await answer).startswith(b"HTTP/1.1 413 ")
    writer.close()
    assert sent < limit


async def test_unknown_paths_are_problems(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/nope", "/v0/echo/", "/v0/users/", "/health/live/x"):
        async with client.get(path) as response:
            await problem(response, 404, "NOT_FOUND")


async def test_other_methods_learn_what_is_allowed(client: aiohttp.ClientSession) -> None:
    async with client.delete("/v0/echo") as response:
        await problem(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["Allow"] == "POST"
    async with client.post("/health") as response:
        await problem(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["Allow"] == "GET, HEAD"
    async with client.options("/v0/echo") as response:
        await problem(response, 405, "METHOD_NOT_ALLOWED")


async def test_head_answers_like_get_without_a_body_but_not_on_streams(client: aiohttp.ClientSession) -> None:
    async with client.head("/health") as response:
        assert response.status == 200
        assert await response.read() == b""
    async with client.head("/v0/stream") as response:
        assert response.status == 405


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v0/read", "sessionId"),
        ("/v0/read?sessionId=", "sessionId"),
        ("/v0/read?sessionId=%FF", "query"),
        ("/v0/read?sessionId=a%00b", "sessionId"),
        ("/v0/read?sessionId=a&sessionId=b", "sessionId"),
        ("/v0/read?sessionId=" + "a" * 257, "sessionId"),
        ("/v0/read?sessionId=a&cursor=x", "cursor"),
        ("/v0/read?sessionId=a&cursor=-1", "cursor"),
        ("/v0/read?sessionId=a&cursor=+1", "cursor"),
        ("/v0/read?sessionId=a&cursor=1_0", "cursor"),
        ("/v0/read?sessionId=a&cursor=%D9%A3", "cursor"),
        ("/v0/read?sessionId=a&cursor=9223372036854775808", "cursor"),
        ("/v0/read?" + "&".join(f"a{i}=1" for i in range(40)), "query"),
        ("/v0/users/%FF", "profileRef"),
        ("/v0/users/a%00", "profileRef"),
        ("/v0/users/" + "a" * 257, "profileRef"),
        ("/%FF", "path"),
    ],
)
async def test_bad_parameters_are_refused(sample: SampleProcess, path: str, field: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(URL(sample.url + path, encoded=True)) as response:
        assert field in (await problem(response, 400, "INVALID_REQUEST"))["detail"]


async def test_good_parameters_pass(client: aiohttp.ClientSession) -> None:
    async with client.get("/v0/read", params={"sessionId": "会话 1", "cursor": str(2**63 - 1)}) as response:
        assert await response.json() == {"session": "会话 1", "cursor": 2**63 - 1}
    async with client.get("/v0/users/profile:用户") as response:
        assert await response.json() == {"ref": "profile:用户"}


async def test_browsers_of_other_origins_may_call(client: aiohttp.ClientSession) -> None:
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    async with client.options(
        "/v0/echo", headers=ask | {"Access-Control-Request-Headers": "idempotency-key"}
    ) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    async with client.post("/v0/echo", data=b"{", headers={"Origin": "https://app.example"}) as response:
        await problem(response, 400, "INVALID_REQUEST")
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_health_metrics_and_liveness(client: aiohttp.ClientSession) -> None:
    async with client.get("/health") as response:
        assert await response.json() == {
            "ok": True,
            "service": "sample",
            "version": "1.2.3",
            "revision": "abc",
            "checks": {},
        }
    async with client.get("/health/live") as response:
        assert await response.json() == {"ok": True, "service": "sample"}
    async with client.get("/metrics") as response:
        assert response.content_type == "text/plain"
        assert "sample_things_total 1.0" in await response.text()


async def test_the_docs_come_whole_from_here(client: aiohttp.ClientSession) -> None:
    async with client.get("/docs") as response:
        page = await response.text()
        assert "'self'" in response.headers["Content-Security-Policy"]
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        async with client.get(f"/docs/assets/{name}") as response:
            assert response.status == 200
            assert await response.read()
    for name in ("swagger-editor.js", "..%2f__init__.py", "%2e%2e"):
        async with client.get(URL(f"/docs/assets/{name}", encoded=True)) as response:
            await problem(response, 404, "NOT_FOUND")


async def test_a_head_over_the_limit_is_refused(sample: SampleProcess) -> None:
    for head in (
        b"GET /health HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nx: " + b"a" * 40_000,  # and never an end
        b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 8_000 + b"\r\n",
    ):
        assert (await raw(sample, head)).startswith(b"HTTP/1.1 431 ")


async def test_nonsense_instead_of_http_is_a_problem_too(sample: SampleProcess) -> None:
    for nonsense in (
        b"hello\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad\x00: 1\r\n\r\n",
    ):
        answer = await raw(sample, nonsense)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
        assert b"application/problem+json" in answer


async def test_an_upgrade_is_answered_as_the_plain_request(sample: SampleProcess) -> None:
    answer = await raw(
        sample, b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")


async def raw(sample: SampleProcess, sent: bytes) -> bytes:
    """All that comes back until the server closes, or the answer's end when it doesn't."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sample.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer
