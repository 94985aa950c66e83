"""The JSON client against a real server that misbehaves in every way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
from aiohttp import web
from tests.unheard import unheard

from uniassist.web.calling.client import BadAnswer, BadStatus, JsonClient, TimedOut, Unreachable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Thing(msgspec.Struct):
    name: str


async def good(request: web.Request) -> web.StreamResponse:
    return web.json_response({"name": (await request.read()).decode() + request.headers.get("traceparent", "")})


async def status(request: web.Request) -> web.StreamResponse:
    return web.Response(status=int(request.match_info["status"]), body=b"x" * 5000, headers={"Location": "/good"})


async def nonsense(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"<html>")


async def other(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"name": 5})


async def huge(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * 2_000_000)


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.fixture
async def base() -> AsyncIterator[str]:
    app = web.Application()
    for name, handler in {
        "good": good,
        "nonsense": nonsense,
        "other": other,
        "huge": huge,
        "hang": hang,
        "drip": drip,
        "cut": cut,
        "status/{status}": status,
    }.items():
        app.router.add_route("*", f"/{name}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient(answer_limit_bytes=1_000_000) as opened:
        yield opened


async def test_a_good_answer_and_headers_passed_on(base: str, client: JsonClient) -> None:
    thing = await client.post_json(
        f"{base}/good", b"raw", Thing, timeout_seconds=5, headers={"traceparent": "-00-1"}
    )
    assert thing == Thing("raw-00-1")
    assert await client.post_json(f"{base}/good", Thing("a"), Thing, timeout_seconds=5) == Thing('{"name":"a"}')
    assert await client.get_json(f"{base}/good", Thing, timeout_seconds=5) == Thing("")


@pytest.mark.parametrize("answered", [302, 400, 404, 500, 503])
async def test_any_other_status_is_told_and_not_followed(base: str, client: JsonClient, answered: int) -> None:
    with pytest.raises(BadStatus) as caught:
        await client.get_json(f"{base}/status/{answered}", Thing, timeout_seconds=5)
    assert caught.value.status == answered
    assert len(caught.value.body) == 512


@pytest.mark.parametrize(("path", "said"), [("nonsense", "body"), ("other", "name"), ("huge", "more than 1000000")])
async def test_nonsense_is_a_bad_answer(base: str, client: JsonClient, path: str, said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        await client.get_json(f"{base}/{path}", Thing, timeout_seconds=5)


@pytest.mark.parametrize("path", ["hang", "drip"])
async def test_the_deadline_covers_the_whole_answer(base: str, client: JsonClient, path: str) -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimedOut, match=r"within 0\.2 seconds"):
        await client.get_json(f"{base}/{path}", Thing, timeout_seconds=0.2)
    assert asyncio.get_running_loop().time() - started < 2


async def test_the_deadline_covers_the_wait_for_a_connection(base: str) -> None:
    async with JsonClient(connection_limit=1) as narrow:
        first = asyncio.ensure_future(narrow.get_json(f"{base}/hang", Thing, timeout_seconds=1))
        await asyncio.sleep(0)
        with pytest.raises(TimedOut):
            await narrow.get_json(f"{base}/good", Thing, timeout_seconds=0.2)
        with pytest.raises(TimedOut):
            await first


async def test_a_broken_or_refused_connection_is_unreachable(base: str, client: JsonClient) -> None:
    with pytest.raises(Unreachable):
        await client.get_json(f"{base}/cut", Thing, timeout_seconds=5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            await client.get_json(f"http://127.0.0.1:{taken.getsockname()[1]}/", Thing, timeout_seconds=5)


async def test_a_connection_that_does_not_come_is_told_from_an_answer_that_does_not() -> None:
    async with JsonClient(connect_seconds=0.2) as hasty:
        with unheard() as url, pytest.raises(Unreachable, match=r"no connection within 0\.2 seconds"):
            await hasty.get_json(url, Thing, timeout_seconds=5)


async def test_a_url_that_is_none_is_told_as_a_failed_call(client: JsonClient) -> None:
    with pytest.raises(BadAnswer):
        await client.get_json("not a url", Thing, timeout_seconds=5)
