"""The platform's double against the platform's published vectors, and against its own rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.waiting import eventually

from uniassist.wechat_simulator.api import SEND, TOKEN, Fault
from uniassist.wechat_simulator.pushes import ACCOUNT, NOTICE, Format, Mode
from uniassist.wechat_simulator.sealing import Seal, sign
from uniassist.wechat_simulator.simulator import APP_ID, APP_SECRET, WechatSimulator

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
TOKEN_ASKED: dict[str, object] = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}


@pytest.fixture
def simulator() -> Iterator[WechatSimulator]:
    with WechatSimulator(token="AAAAA", aes_key=KEY) as started:
        yield started


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(
    http: aiohttp.ClientSession, simulator: WechatSimulator, path: str, body: dict[str, object], token: str = ""
) -> dict[str, object]:
    async with http.post(f"{simulator.url}{path}", params={"access_token": token}, json=body) as answer:
        read: dict[str, object] = await answer.json()
        return read


async def token_of(http: aiohttp.ClientSession, simulator: WechatSimulator, **changed: object) -> str:
    return str((await post(http, simulator, TOKEN, TOKEN_ASKED | changed)).get("access_token", "none"))


def text_to(openid: str, text: str = "好") -> dict[str, object]:
    return {"touser": openid, "msgtype": "text", "text": {"content": text}}


def test_the_simulators_signatures_are_those_that_the_platform_published() -> None:
    assert sign("AAAAA", "1714036504", "1514711492") == "f464b24fc39322e44b38aa78f5edd27bd1441696"
    assert sign("test", "1410685589", "test") == "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff"


def test_sealing_is_that_of_the_published_vectors() -> None:
    sealed = Seal("A" * 43, "wxba5fad812f8e6fb9").close(b'{"demo_resp":"good luck"}', b"707722b803182950")
    assert sealed == ("ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==")
    assert sign("AAAAA", "1713424427", "415670741", sealed) == "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"
    with pytest.raises(ValueError, match="sealed for"):
        Seal("A" * 43, "wx-other").open(sealed)


async def test_one_token_for_every_caller_until_five_minutes_before_its_end(
    simulator: WechatSimulator, http: aiohttp.ClientSession
) -> None:
    first = await token_of(http, simulator)
    assert len(first) == 512
    assert await token_of(http, simulator) == first
    simulator.clock.advance(7200 - 299)
    second = await token_of(http, simulator)
    assert second != first
    simulator.account.wrote("o", "在吗")
    assert (await post(http, simulator, SEND, text_to("o"), first))["errcode"] == 0
    simulator.clock.advance(301)
    assert (await post(http, simulator, SEND, text_to("o"), first))["errcode"] == 42001
    assert (await post(http, simulator, SEND, text_to("o"), second))["errcode"] == 0


async def test_forced_refreshes_have_their_limits(simulator: WechatSimulator, http: aiohttp.ClientSession) -> None:
    first = await token_of(http, simulator)
    forced = await token_of(http, simulator, force_refresh=True)
    assert forced not in (first, "none")
    assert await token_of(http, simulator, force_refresh=True) == "none"
    for _ in range(19):
        simulator.clock.advance(31)
        assert await token_of(http, simulator, force_refresh=True) != "none"
    simulator.clock.advance(31)
    assert await token_of(http, simulator, force_refresh=True) == "none"


@pytest.mark.parametrize(
    ("changed", "code"), [({"appid": "wx"}, 40013), ({"secret": "x"}, 40125), ({"grant_type": "x"}, 40002)]
)
async def test_a_wrong_caller_gets_no_token(
    simulator: WechatSimulator, http: aiohttp.ClientSession, changed: dict[str, object], code: int
) -> None:
    assert (await post(http, simulator, TOKEN, TOKEN_ASKED | changed))["errcode"] == code
    simulator.account.ip_is_allowed = False
    assert (await post(http, simulator, TOKEN, TOKEN_ASKED))["errcode"] == 40164


async def test_five_sends_in_forty_eight_hours_and_three_in_a_minute(
    simulator: WechatSimulator, http: aiohttp.ClientSession
) -> None:
    token = await token_of(http, simulator)

    async def send() -> object:
        return (await post(http, simulator, SEND, text_to("o"), token))["errcode"]

    assert await send() == 40003
    simulator.account.wrote("o", "在吗")
    assert [await send() for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    simulator.account.acted("o")
    assert [await send() for _ in range(4)] == [0, 0, 0, 45047]
    simulator.account.wrote("o", "在吗")
    assert await send() == 0
    simulator.clock.advance(48 * 3600 + 1)
    token = await token_of(http, simulator)
    assert await send() == 45015
    assert len(simulator.screen("o")) == 9


async def test_faults_come_in_their_order_and_a_dropped_send_may_have_arrived(
    simulator: WechatSimulator, http: aiohttp.ClientSession
) -> None:
    token = await token_of(http, simulator)
    simulator.account.wrote("o", "在吗")
    simulator.faults.add(SEND, Fault("code", 45009), Fault("accepted_then_dropped"), Fault("dropped"))
    assert (await post(http, simulator, SEND, text_to("o", "1"), token))["errcode"] == 45009
    for number in ("2", "3"):
        with pytest.raises(aiohttp.ClientError):
            await post(http, simulator, SEND, text_to("o", number), token)
    assert simulator.texts("o") == ["2"]


@pytest.mark.parametrize(
    ("answer", "seen"),
    [("success", []), ("", []), ("<xml/>", [NOTICE]), ("<html>oops", [NOTICE]), ('{"a": 1}', [NOTICE])],
)
async def test_anything_but_a_reply_or_silence_puts_the_account_out_of_service(
    simulator: WechatSimulator, answer: str, seen: list[str]
) -> None:
    async with _webhook(lambda _request: web.Response(text=answer)) as url:
        simulator.pusher.webhook = url
        await simulator.say("o", "在吗")
    assert simulator.texts("o") == seen


@pytest.mark.parametrize(("size", "seen"), [(2048, "a" * 2048), (2049, NOTICE)])
async def test_a_reply_that_is_too_long_puts_the_account_out_of_service(size: int, seen: str) -> None:
    def reply(_request: web.Request) -> web.Response:
        answer = {"ToUserName": "o", "FromUserName": ACCOUNT, "CreateTime": 1, "MsgType": "text"}
        return web.json_response(answer | {"Content": "a" * size})

    with WechatSimulator(token="AAAAA") as plain:
        plain.pusher.format = "json"
        async with _webhook(reply) as url:
            plain.pusher.webhook = url
            await plain.say("o", "在吗")
        assert plain.texts("o") == [seen]


async def test_without_an_answer_there_are_three_pushes_with_fresh_nonces_then_the_notice(
    simulator: WechatSimulator,
) -> None:
    queries: list[tuple[str, str]] = []

    def refuse(request: web.Request) -> web.Response:
        queries.append((request.query["nonce"], request.query["msg_signature"]))
        return web.Response(status=500)

    async with _webhook(refuse) as url:
        simulator.pusher.webhook = url
        pushed = await simulator.say("o", "在吗")
    assert pushed.tries == ["status 500"] * 3
    assert len(set(queries)) == 3
    assert simulator.texts("o") == [NOTICE]


@pytest.mark.parametrize("mode", ["plain", "compatible", "safe"])
@pytest.mark.parametrize("form", ["xml", "json"])
async def test_each_mode_and_format_carries_the_message_as_it_should(
    simulator: WechatSimulator, mode: Mode, form: Format
) -> None:
    bodies: list[bytes] = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(text="success")

    simulator.pusher.mode, simulator.pusher.format = mode, form
    async with _webhook(keep) as url:
        simulator.pusher.webhook = url
        await simulator.say("o", "密语")
    (body,) = bodies
    assert ("密语".encode() in body) == (mode != "safe")
    assert (b"Encrypt" in body) == (mode != "plain")
    assert body.startswith(b"{" if form == "json" else b"<")


async def test_the_page_is_a_phone_that_writes_shows_and_stumbles(
    simulator: WechatSimulator, http: aiohttp.ClientSession
) -> None:
    async def phone() -> dict[str, Any]:
        async with http.get(f"{simulator.url}/phone", params={"openid": "o"}) as answer:
            seen: dict[str, Any] = await answer.json()
            return seen

    async def press(path: str, **asked: str) -> int:
        async with http.post(f"{simulator.url}{path}", json={"openid": "o"} | asked) as answer:
            return answer.status

    async with http.get(simulator.url) as page, _webhook(lambda _request: web.Response(text="<xml/>")) as url:
        assert "/phone/say" in await page.text()
        simulator.pusher.webhook = url
        assert await press("/phone/say", text="在吗") == 200
        await eventually(lambda: simulator.texts("o") == [NOTICE], "what the phone shows")
    assert [(line["who"], line["text"]) for line in (await phone())["lines"]] == [
        ("me", "在吗"),
        ("notice", NOTICE),
    ]
    token = await token_of(http, simulator)
    assert await press("/faults", name="quota used") == 200
    assert (await post(http, simulator, SEND, text_to("o"), token))["errcode"] == 45047
    assert await press("/faults", name="unverified", on="true") == 200
    assert (await post(http, simulator, SEND, text_to("o"), token))["errcode"] == 48001
    assert (await phone())["unverified"] is True
    assert await press("/faults", name="unverified", on="false") == 200
    assert await press("/faults", name="hours later", hours="49") == 200
    fresh = await token_of(http, simulator)
    assert (await post(http, simulator, SEND, text_to("o"), fresh))["errcode"] == 45015
    assert await press("/faults", name="of another kind") == 400
    async with http.post(f"{simulator.url}/phone/say", data={"openid": "o", "text": "a form"}) as form:
        assert form.status == 415


async def test_the_page_sends_what_is_no_text(simulator: WechatSimulator, http: aiohttp.ClientSession) -> None:
    bodies: list[str] = []

    async def taken(request: web.Request) -> web.Response:
        bodies.append((await request.read()).decode())
        return web.Response(text="success")

    async def press(path: str, **asked: str) -> int:
        async with http.post(f"{simulator.url}{path}", json={"openid": "o"} | asked) as answer:
            return answer.status

    def has_more_than(count: int) -> bool:
        return len(bodies) > count

    simulator.pusher.mode = "compatible"  # its bodies can be read
    async with _webhook(taken) as url:
        simulator.pusher.webhook = url
        for path, asked, pushed, on_phone in (
            ("/phone/send", {"kind": "picture"}, "<MsgType>image</MsgType>", "[图片]"),
            ("/phone/send", {"kind": "voice"}, "<MsgType>voice</MsgType>", "[语音]"),
            ("/phone/send", {"kind": "voice", "text": "第二个"}, "<Recognition>第二个", "[语音] 第二个"),
            ("/phone/send", {"kind": "sticker"}, "收到不支持的消息类型", "[表情]"),
            ("/phone/send", {"kind": "unknown"}, "<MsgType>type-of-the-future", "[未知]"),
            ("/phone/act", {"event": "CLICK"}, "<EventKey>帮我制定一个学习计划", "[未知]"),
            ("/phone/act", {"event": "CLICK", "text": "你好"}, "<EventKey>你好", "[未知]"),
            ("/phone/act", {"event": "SCAN"}, "<EventKey>42", "[未知]"),
        ):
            sent = len(bodies)
            assert await press(path, **asked) == 200
            await eventually(partial(has_more_than, sent), "it is pushed")
            assert pushed in bodies[-1]
            assert simulator.account.people["o"].wrote[-1].text == on_phone
    assert await press("/phone/send", kind="of another kind") == 400
    assert len(simulator.account.media) == 3


class _webhook:
    """An account's server that answers as told."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/", self._respond)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _respond(self, request: web.Request) -> web.Response:
        assert callable(self._answer)
        answered = self._answer(request)
        response = await answered if not isinstance(answered, web.Response) else answered
        assert isinstance(response, web.Response)
        return response
