"""URLs that somebody else chose: what is refused before anything is sent, and what is connected to."""

from __future__ import annotations

import ast
import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import uniassist
from uniassist.web.calling import foreign
from uniassist.web.calling.client import BadAnswer, TimedOut, Unreachable
from uniassist.web.calling.foreign import AllowedHosts, ForeignUrls, Refused


class Site:
    """A server on loopback that notes the paths it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/inside"})
        if request.path == "/huge":
            return web.Response(body=b"x" * 200_000)
        if request.path == "/bomb":
            return web.Response(body=gzip.compress(b"x" * 5_000_000), headers={"Content-Encoding": "gzip"})
        if request.path == "/hang":
            await asyncio.sleep(30)
        return web.Response(body=b"a video", content_type="video/mp4")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def get(url: str, allowed: AllowedHosts, **more: Any) -> bytes:
    async with ForeignUrls(allowed, limit_bytes=100_000, **more) as urls:
        return (await urls.get(url, timeout_seconds=3)).body


ANY = ["*.example", "example", "localhost", "127.0.0.1", "*.nip.io", "10.0.0.1"]
REFUSED = [
    *("", "/", "//a.example/x", "ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "http://"),
    *(
        "http:///x",
        "data:text/plain,x",
        "javascript:1",
        "http://other.test/",
        "http://exam\u0440le/",
        "http://a.example\\@b/",
    ),
    *(
        "http://u@a.example/",
        "http://u:p@a.example/",
        "http://a.example:81/",
        "http://a.example:0/",
    ),
    *("https://a.example:80/", "http://a.example/\r\nHost: b", "http://a.example/ b", "http://a.example/\x00"),
    *("http://badexample/", "http://example.evil.test/", "http://a.example.evil.test/", "http://*.example/"),
    *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[64:ff9b::7f00:1]/"),
    *("http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.0.1/"),
    *("http://10.0.0.1/", "http://127.0.0.1./", "http://%6cocalhost/", "http://-a.example/", "http://a..example/"),
    "http://a.example/" + "x" * 3000,
]


@pytest.mark.parametrize("url", REFUSED)
async def test_what_may_not_be_fetched_is_refused_and_no_name_is_looked_up(url: str) -> None:
    async def lookup(host: str) -> list[str]:
        raise AssertionError(f"looked up {host}")

    with pytest.raises(Refused) as refused:
        await get(url, AllowedHosts(ANY), lookup=lookup)
    assert "example/" not in str(refused.value), "the message shows nothing of the URL"


@pytest.mark.parametrize("form", ["0x7f000001", "2130706433", "127.1", "0177.0.0.1", "::1", "[::1]", "127.0.0.1"])
async def test_no_form_of_an_inner_address_is_taken_even_if_it_is_allowed(form: str, site: Site) -> None:
    try:
        allowed = AllowedHosts([f"{form}:{site.port}"])
    except ValueError:
        return  # such an entry stops the service at its start
    with pytest.raises((Refused, BadAnswer)):
        await get(f"http://{form}:{site.port}/", allowed)
    assert site.asked == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["8.8.8.8", "127.0.0.1"], ["8.8.8.8", "fe80::1%eth0"], ["::ffff:127.0.0.1"]],
)
async def test_a_host_with_an_address_that_is_not_public_is_refused(site: Site, addresses: list[str]) -> None:
    async def lookup(_host: str) -> list[str]:
        return addresses

    with pytest.raises(Refused):
        await get(f"http://a.example:{site.port}/", AllowedHosts([f"a.example:{site.port}"]), lookup=lookup)
    assert site.asked == []


async def test_the_systems_own_names_are_resolved_and_checked(site: Site) -> None:
    with pytest.raises(Refused):
        await get(f"http://localhost:{site.port}/", AllowedHosts([f"localhost:{site.port}"]))
    assert site.asked == []


async def test_the_connection_is_made_to_the_address_that_was_checked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name says something else the second time: nobody asks a second time."""
    monkeypatch.setattr(foreign, "is_public", lambda address: address == "127.0.0.1")
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def lookup(_host: str) -> list[str]:
        return next(answers)

    url, allowed = f"http://a.example:{site.port}/x", AllowedHosts([f"*.example:{site.port}"])
    async with ForeignUrls(allowed, limit_bytes=100_000, lookup=lookup) as urls:
        assert (await urls.get(url, timeout_seconds=3)).body == b"a video"
        with pytest.raises(Refused):  # a later fetch is judged anew
            await urls.get(url, timeout_seconds=3)
    assert site.asked == ["/x"]


async def test_a_host_without_addresses_is_one_that_cannot_be_reached() -> None:
    async def lookup(_host: str) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(Unreachable):
        await get("http://a.example/", AllowedHosts(ANY), lookup=lookup)


async def test_own_origins_are_reached_wherever_they_are_and_only_on_their_port(site: Site) -> None:
    own = AllowedHosts([], origins=[f"http://127.0.0.1:{site.port}/api"])
    assert await get(f"http://127.0.0.1:{site.port}/x#y", own) == b"a video"
    with pytest.raises(Refused):
        await get(f"http://127.0.0.1:{site.port + 1}/x", own)
    with pytest.raises(Refused):
        await get(f"https://127.0.0.1:{site.port}/x", own)


async def test_redirects_are_not_followed_and_answers_are_bounded_in_bytes_and_time(site: Site) -> None:
    own = AllowedHosts([], origins=[f"http://127.0.0.1:{site.port}"])
    async with ForeignUrls(own, limit_bytes=100_000) as urls:
        base = f"http://127.0.0.1:{site.port}"
        assert (await urls.get(f"{base}/moved", timeout_seconds=3)).status == 302
        with pytest.raises(BadAnswer):
            await urls.get(f"{base}/huge", timeout_seconds=3)
        assert len((await urls.get(f"{base}/bomb", timeout_seconds=3)).body) < 100_000, "it isn't unpacked"
        with pytest.raises(TimedOut):
            await urls.get(f"{base}/hang", timeout_seconds=0.2)
    assert "/inside" not in site.asked


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "http://a.example", "a.example/x", "a b", "a.example:x", "*.*.example"]
)
def test_an_entry_of_the_list_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="expected a host"):
        AllowedHosts([entry])


# Who may call out, and whose URLs those are. All others that somebody else chose go by `web.foreign`.
_CALLERS = {
    "uniassist/web/calling/foreign.py": "somebody else's, checked",
    "uniassist/web/calling/client.py": "an operator's settings",
    "uniassist/web/calling/sse.py": "an operator's command line",
    "uniassist/gateway/providers/kinds/a2a_http.py": "an operator's providers file; a card names no other place",
    "uniassist/provider/testing.py": "the author's own provider, on this machine",
    "uniassist/devstack/direct.py": "our own services, on this machine",
    "uniassist/wechat_simulator/pushes.py": "the webhook that a developer names",
    "uniassist/wechat_simulator/simulator.py": "the same",
}
_CLIENTS = ("aiohttp", "urllib.request", "http.client", "requests", "httpx", "urllib3")


def test_nobody_else_calls_out() -> None:
    source = Path(uniassist.__file__).parent
    found = {
        path.relative_to(source.parent).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if _imported(node) & set(_CLIENTS)
    }
    assert found - _CALLERS.keys() == set()


def _imported(node: ast.AST) -> set[str]:
    """The modules that a statement imports; `from aiohttp import web` is a server."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return set()
    names = {alias.name for alias in node.names}
    if (node.module, names) == ("aiohttp", {"web"}):
        return set()
    return {node.module} | {f"{node.module}.{name}" for name in names}
