"""A platform, or who plays it, that answers for media with what isn't one: nothing else is fetched for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import psycopg
import pytest
from aiohttp import web
from tests.integration.adapter_wechat.conftest import Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.media.stored_files import JPEG, file_of
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.processes import WECHAT_TOKEN, ServiceProcess
from tests.waiting import eventually

from uniassist.wechat_simulator.simulator import APP_ID, APP_SECRET, WechatSimulator


class HostilePlatform:
    """Answers `media/get` as it is told by media id, on one port; on another, notes whatever is asked of it."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.trapped: list[str] = []
        self.port = self.trap_port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> HostilePlatform:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        api, trap = web.Application(), web.Application()
        api.router.add_post("/cgi-bin/stable_token", self._token)
        api.router.add_get("/cgi-bin/media/get", self._medium)
        api.router.add_get("/video", self._video)
        api.router.add_get("/moved", self._moved)
        trap.router.add_route("*", "/{path:.*}", self._trap)
        self._runners = [web.AppRunner(api), web.AppRunner(trap)]
        for runner in self._runners:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port, self.trap_port = (runner.addresses[0][1] for runner in self._runners)

    async def _stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "a-token", "expires_in": 7200})

    async def _medium(self, request: web.Request) -> web.Response:
        body, headers = self.answers[request.query["media_id"]]
        return web.Response(body=body, headers=headers, status=302 if "Location" in headers else 200)

    async def _video(self, _request: web.Request) -> web.Response:
        return web.Response(body=JPEG, content_type="video/mp4")

    async def _moved(self, _request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{self.trap_port}/moved"})

    async def _trap(self, request: web.Request) -> web.Response:
        self.trapped.append(request.path_qs)
        return web.Response(body=b"inside", content_type="video/mp4")


@pytest.fixture(scope="module")
def platform() -> Iterator[HostilePlatform]:
    with HostilePlatform() as started:
        yield started


@pytest.fixture(scope="module")
def pusher(
    platform: HostilePlatform,
    shared_gateway: GatewayDouble,
    shared_servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WechatSimulator]:
    folder = tmp_path_factory.mktemp("hostile")
    env = shared_servers.env(
        shared_gateway,
        WECHAT_MEDIA_DIR=str(folder / "media"),
        WECHAT_API_BASE_URL=f"http://127.0.0.1:{platform.port}",
        WECHAT_APP_ID=APP_ID,
        WECHAT_APP_SECRET=APP_SECRET,
        WECHAT_MEDIA_HOSTS=f"localhost:{platform.trap_port},127.0.0.1:{platform.trap_port}",
    )
    adapter = ServiceProcess("adapter-wechat", folder / "log", env)
    adapter.start()
    with WechatSimulator(token=WECHAT_TOKEN) as wechat:
        wechat.watch(adapter.url)
        yield wechat
    adapter.stop()


def state_of(servers: Servers, media_id: str) -> tuple[str, int]:
    with psycopg.connect(servers.database_url) as connection:
        row = connection.execute(
            "SELECT state, attempts FROM wechat_media WHERE media_id = %s", [media_id]
        ).fetchone()
        assert row is not None
        return row[0], row[1]


AS_JSON = {"Content-Type": "application/json; encoding=utf-8"}


@pytest.mark.parametrize(
    ("kind", "url", "headers"),
    [
        ("image", "http://127.0.0.1:{trap}/image-type", {"Content-Type": "image/jpeg"}),
        ("image", "http://127.0.0.1:{own}/video", AS_JSON),
        ("voice", "http://127.0.0.1:{own}/video", AS_JSON),
        ("video", "http://127.0.0.1:{own}/video", {"Content-Type": "text/plain"}),
        ("video", "http://127.0.0.1:{own}/video", AS_JSON | {"Content-Disposition": "attachment; filename=x"}),
        ("video", "http://127.0.0.1:{own}/moved", AS_JSON),
        ("video", "http://127.0.0.1:{trap}/address", AS_JSON),
        ("video", "http://localhost:{trap}/name", AS_JSON),
        ("video", "http://[::ffff:127.0.0.1]:{trap}/mapped", AS_JSON),
        ("video", "http://2130706433:{trap}/decimal", AS_JSON),
        ("video", "http://0x7f.1:{trap}/hex", AS_JSON),
        ("video", "http://0177.0.0.1:{trap}/octal", AS_JSON),
        ("video", "http://127.0.0.1:{own}@127.0.0.1:{trap}/user", AS_JSON),
        ("video", "file:///etc/passwd", AS_JSON),
    ],
)
async def test_an_address_that_the_platform_may_not_choose_is_not_fetched(
    platform: HostilePlatform,
    pusher: WechatSimulator,
    gateway: GatewayDouble,
    shared_servers: Servers,
    kind: str,
    url: str,
    headers: dict[str, str],
) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    said = json.dumps({"video_url": url.format(trap=platform.trap_port, own=platform.port)}).encode()
    platform.answers[media_id] = (said, headers)
    await pusher.send(openid, kind, MediaId=media_id)
    await eventually(lambda: gateway.inputs_of(openid), "the message went on")
    await eventually(lambda: state_of(shared_servers, media_id)[1], "it was asked for")
    assert platform.trapped == []
    (taken,) = gateway.inputs_of(openid)
    assert taken.attachments is not None
    uri = taken.attachments[0].local_uri
    assert uri is None or not file_of(uri).exists() or file_of(uri).read_bytes() == said, (
        "kept as what it said it was"
    )


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html"}, {"Content-Type": "application/xml"}, {}])
async def test_what_is_no_medium_is_not_kept_as_one(
    platform: HostilePlatform,
    pusher: WechatSimulator,
    gateway: GatewayDouble,
    headers: dict[str, str],
) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    moved = {} if headers else {"Location": f"http://127.0.0.1:{platform.trap_port}/redirect"}
    platform.answers[media_id] = (b"<html>", headers | moved)
    await pusher.send(openid, "image", MediaId=media_id)
    (taken,) = await eventually(lambda: gateway.inputs_of(openid), "the message went on")
    assert taken.attachments is not None
    assert taken.attachments[0].size is None
    assert platform.trapped == []


async def test_a_video_of_the_apis_own_origin_is_kept(
    platform: HostilePlatform, pusher: WechatSimulator, gateway: GatewayDouble
) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    platform.answers[media_id] = (
        json.dumps({"video_url": f"http://127.0.0.1:{platform.port}/video"}).encode(),
        AS_JSON,
    )
    await pusher.send(openid, "video", MediaId=media_id)
    (taken,) = await eventually(lambda: gateway.inputs_of(openid), "the message went on")
    assert taken.attachments is not None
    assert file_of(taken.attachments[0].local_uri).read_bytes() == JPEG
