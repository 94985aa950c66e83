"""Handshake and pushes over HTTP: who may push, what reaches the gateway, what the person sees."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from urllib.parse import urlencode

import aiohttp
import pytest
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown, signed
from tests.processes import ServiceProcess

from uniassist.adapter_wechat.inbound.messages import read_fields
from uniassist.contracts import codec
from uniassist.web.calling.client import Answer, JsonClient

VECTOR = {
    "signature": "f464b24fc39322e44b38aa78f5edd27bd1441696",
    "timestamp": "1714036504",
    "nonce": "1514711492",
    "echostr": "<b>4375120948345356249</b>",
}


PLANNED = "好的，我来帮你制定计划。\n\n关于“{}”\n1. 开始\n回复数字即可选择。"


async def shake(client: JsonClient, adapter: ServiceProcess, query: dict[str, str]) -> Answer:
    url = f"{adapter.url}/wechat/webhook?{urlencode(query)}"
    return await client.request("GET", url, timeout_seconds=20)


async def test_the_handshake_echoes_as_plain_text(adapter: ServiceProcess, client: JsonClient) -> None:
    answer = await shake(client, adapter, VECTOR)
    assert (answer.status, answer.body.decode()) == (200, VECTOR["echostr"])
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "changed", [{"signature": "0" * 40}, {"signature": ""}, {"nonce": "1"}, {"timestamp": "1"}]
)
async def test_a_handshake_with_a_bad_signature_is_forbidden(
    adapter: ServiceProcess, client: JsonClient, changed: dict[str, str]
) -> None:
    assert (await shake(client, adapter, VECTOR | changed)).status == 403
    without = {name: value for name, value in VECTOR.items() if name not in changed}
    assert (await shake(client, adapter, without)).status == 403


async def test_a_text_is_ingested_signed_and_answered(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    openid = fresh("openid")
    answer = await push(client, adapter, message(openid, "你好 ]]&gt; <b>", MsgId="4711", CreateTime="1772000000"))
    fields = read_fields(answer.body)
    assert (fields["ToUserName"], fields["FromUserName"]) == (openid, "gh_account")
    assert shown(answer) == "你说：你好 ]]&gt; <b>"
    (taken,) = gateway.inputs_of(openid)
    assert (taken.source, taken.session_id, taken.timestamp_ms) == (
        "wechat",
        f"wx-session:{openid}",
        1772000000000,
    )
    assert taken.channel is not None
    assert (taken.channel.id, taken.channel.type, taken.channel.message_id) == (openid, "wechat", "4711")


async def test_a_provider_that_answers_in_time_is_waited_for(adapter: ServiceProcess, client: JsonClient) -> None:
    answer = await push(client, adapter, message(fresh("openid"), "帮我做个计划"))
    assert shown(answer) == PLANNED.format("帮我做个计划")


async def test_each_of_several_messages_at_once_gets_its_reply_once(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    openid = fresh("openid")
    texts = ["计划一", "计划二", "计划三"]
    answers = await asyncio.gather(*(push(client, adapter, message(openid, text)) for text in texts))
    said = "\n\n".join(text for text in map(shown, answers) if text is not None)
    for text in texts:
        assert said.count(f"关于“{text}”") == 1, said
    assert said.count("好的，我来帮你制定计划。") == 3


async def test_a_successor_session_is_followed(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    gateway.successor = "wx-session:a/b&c 二~2"
    assert shown(await push(client, adapter, message(fresh("openid"), "计划"))) is not None


async def test_a_reply_that_needs_more_than_one_push_goes_out_with_the_next(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    gateway.provider_seconds = 6.0
    openid = fresh("openid")
    body = message(openid, "计划")
    with pytest.raises(TimeoutError):  # as the platform does
        async with asyncio.timeout(5.0):
            await push(client, adapter, body)
    assert shown(await push(client, adapter, body)) == PLANNED.format("计划")
    assert len(gateway.inputs_of(openid)) == 1
    assert gateway.attempts == 1


async def test_pushes_of_one_message_share_one_delivery(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    gateway.provider_seconds = 1.0
    body = message(fresh("openid"), "计划")
    together = await asyncio.gather(*(push(client, adapter, body) for _ in range(20)))
    later = await push(client, adapter, body)
    assert len({shown(answer) for answer in [*together, later]}) == 1
    assert shown(later) is not None
    assert gateway.attempts == 1


async def test_a_push_that_the_platform_gave_up_on_is_joined_by_the_next(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    gateway.provider_seconds = 1.5
    body = message(fresh("openid"), "计划")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.7):
            await push(client, adapter, body)
    assert shown(await push(client, adapter, body)) is not None
    assert gateway.attempts == 1


async def test_the_same_message_id_of_another_person_is_another_message(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    first, second = fresh("openid"), fresh("openid")
    for openid in (first, second):
        assert shown(await push(client, adapter, message(openid, openid, MsgId="1"))) == f"你说：{openid}"
    assert [len(gateway.inputs_of(openid)) for openid in (first, second)] == [1, 1]


@pytest.mark.parametrize(
    "query",
    [
        dict,
        lambda: signed() | {"signature": "0" * 40},
        lambda: signed(token="WRONG"),
        lambda: signed(offset_seconds=-3600),
        lambda: signed(offset_seconds=3600),
        lambda: signed() | {"timestamp": "soon"},
        lambda: signed() | {"nonce": ""},
        lambda: signed() | {"signature": ""},
        lambda: signed() | {"signature": "é" * 40},
    ],
)
async def test_an_unsigned_or_stale_push_is_forbidden_and_goes_nowhere(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient, query: Callable[[], dict[str, str]]
) -> None:
    openid = fresh("openid")
    answer = await push(client, adapter, message(openid), query())
    assert answer.status == 403
    assert codec.decode(answer.body, dict[str, object])["code"] == "INVALID_SIGNATURE"
    assert gateway.inputs_of(openid) == []


async def test_a_captured_signature_carries_no_other_body(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    openid, victim, query = fresh("openid"), fresh("openid"), signed()
    body = message(openid)
    assert shown(await push(client, adapter, body, query)) is not None
    forged = await push(client, adapter, message(victim), query)
    upper = await push(client, adapter, message(victim), query | {"signature": query["signature"].upper()})
    assert (forged.status, upper.status) == (403, 403)
    assert shown(await push(client, adapter, body, query)) is not None
    assert (len(gateway.inputs_of(openid)), len(gateway.inputs_of(victim))) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("image", "图片"),
        ("voice", "语音"),
        ("video", "视频"),
        ("location", "位置"),
        ("link", "链接"),
        ("x", "还不认识这种类型"),
    ],
)
async def test_what_is_not_text_is_taken_down_and_the_person_told(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient, kind: str, name: str
) -> None:
    openid = fresh("openid")
    answer = await push(client, adapter, message(openid, "", MsgType=kind, MediaId="media-7", Label="上海"))
    told = shown(answer)
    assert told is not None
    assert name in told
    (taken,) = gateway.inputs_of(openid)
    assert (taken.text, taken.raw["MediaId"], taken.raw["Label"]) == (None, "media-7", "上海")


@pytest.mark.parametrize(
    ("event", "greeted"), [("subscribe", True), ("unsubscribe", False), ("CLICK", False), ("unheard_of", False)]
)
async def test_events_are_answered_without_an_input(
    adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient, event: str, greeted: bool
) -> None:
    openid = fresh("openid")
    answer = await push(client, adapter, message(openid, "", MsgType="event", MsgId="", Event=event))
    assert (shown(answer) is not None) == greeted
    assert gateway.inputs_of(openid) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"<xml>", 400),
        (b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><Content>&f;</Content></xml>', 400),
        (b"<xml><Encrypt>abc</Encrypt><ToUserName>x</ToUserName></xml>", 400),
        (b"{}", 400),
        (b"<xml>" + b"a" * 1_000_000 + b"</xml>", 413),
    ],
)
async def test_a_bad_body_is_refused(adapter: ServiceProcess, client: JsonClient, body: bytes, status: int) -> None:
    answer = await push(client, adapter, body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert b"Traceback" not in answer.body


async def test_ten_megabytes_are_refused_and_the_next_push_is_answered(
    adapter: ServiceProcess, client: JsonClient
) -> None:
    body = b"<xml><Content><![CDATA[" + b"a" * 10_000_000 + b"]]></Content></xml>"
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.post(
                f"{adapter.url}/wechat/webhook", params=signed(), data=io.BytesIO(body)
            ) as answer:
                assert (answer.status, "problem" in await answer.text()) == (413, True)
    assert shown(await push(client, adapter, message(fresh("openid")))) is not None


async def test_pushes_are_counted_by_their_outcome(adapter: ServiceProcess, client: JsonClient) -> None:
    await push(client, adapter, message(fresh("openid")))
    await push(client, adapter, b"<xml/>", {})
    before = adapter.scraped()
    assert 'uniassist_wechat_pushes_total{outcome="replied"}' in before
    assert refused(before) > 0
    await push(client, adapter, b"a" * 1_000_000)
    assert refused(adapter.scraped()) == refused(before) + 1, "what is too large is counted as well"


def refused(scraped: str) -> float:
    name = 'uniassist_wechat_pushes_total{outcome="refused"} '
    return float(next(line.removeprefix(name) for line in scraped.splitlines() if line.startswith(name)))
