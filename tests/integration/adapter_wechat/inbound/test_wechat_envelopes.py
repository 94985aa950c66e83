"""The encrypted modes: sealed pushes are opened, sealed answers given, nothing plain or foreign gets in."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests import forking
from tests.integration.adapter_wechat.conftest import Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, signed
from tests.processes import WECHAT_TOKEN, ServiceProcess

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import EnvelopeCipher
from uniassist.adapter_wechat.inbound.messages import read_fields
from uniassist.web.calling.client import JsonClient

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
APP_ID = "wx49f0ab532d5d035a"


@pytest.fixture(scope="module")
def sealed_adapter(
    shared_gateway: GatewayDouble, shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    env = shared_servers.env(shared_gateway, WECHAT_ENCODING_AES_KEY=KEY, WECHAT_APP_ID=APP_ID)
    process = ServiceProcess("adapter-wechat", tmp_path_factory.mktemp("sealed") / "log", env)
    process.start()
    yield process
    process.stop()


def seal(body: bytes, app_id: str = APP_ID, key: str = KEY) -> str:
    return EnvelopeCipher(key, app_id).seal(body, random=b"0123456789abcdef")


def sealed_query(encrypted: str, **changed: str) -> dict[str, str]:
    query = signed()
    signed_parts = (WECHAT_TOKEN, query["timestamp"], query["nonce"], encrypted)
    return query | {"encrypt_type": "aes", "msg_signature": signature.sign(*signed_parts)} | changed


def wrapped(encrypted: str, plain: bytes = b"") -> bytes:
    return b"<xml><Encrypt><![CDATA[%b]]></Encrypt>%b</xml>" % (encrypted.encode(), plain)


@pytest.mark.parametrize(
    "plain", [b"<ToUserName>gh</ToUserName>", b"<MsgType>text</MsgType><Content>plain lies</Content>"]
)
async def test_safe_and_compatible_pushes_are_answered_sealed(
    sealed_adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient, plain: bytes
) -> None:
    openid = fresh("openid")
    encrypted = seal(message(openid, "加密的你好"))
    answer = await push(client, sealed_adapter, wrapped(encrypted, plain), sealed_query(encrypted))
    assert answer.status == 200
    outer = read_fields(answer.body)
    parts = (WECHAT_TOKEN, outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
    assert outer["MsgSignature"] == signature.sign(*parts)
    assert abs(int(outer["TimeStamp"]) - time.time()) < 30
    inner = read_fields(EnvelopeCipher(KEY, APP_ID).open(outer["Encrypt"]))
    assert (inner["ToUserName"], inner["Content"]) == (openid, "你说：加密的你好")
    assert len(gateway.inputs_of(openid)) == 1


async def test_silence_is_not_sealed(sealed_adapter: ServiceProcess, client: JsonClient) -> None:
    encrypted = seal(message(fresh("openid"), "", MsgType="event", MsgId="", Event="unsubscribe"))
    answer = await push(client, sealed_adapter, wrapped(encrypted), sealed_query(encrypted))
    assert (answer.status, answer.body) == (200, b"success")


async def test_what_is_plain_forged_or_foreign_is_forbidden(
    sealed_adapter: ServiceProcess, gateway: GatewayDouble, client: JsonClient
) -> None:
    openid = fresh("openid")
    body = message(openid)
    good, foreign, other_key = seal(body), seal(body, "wx-other"), seal(body, key="B" * 43)
    stale = {"timestamp": "1411443780"}
    cases = [
        (body, signed()),
        (wrapped(good), signed()),
        (wrapped(good), sealed_query(good) | {"msg_signature": "0" * 40}),
        (wrapped(good), sealed_query(seal(message(openid)))),
        (wrapped(good), {name: value for name, value in sealed_query(good).items() if name != "msg_signature"}),
        (wrapped(foreign), sealed_query(foreign)),
        (wrapped(other_key), sealed_query(other_key)),
        (wrapped("AAAA"), sealed_query("AAAA")),
        (wrapped(""), sealed_query("")),
        (
            wrapped(good),
            sealed_query(good)
            | stale
            | {"msg_signature": signature.sign(WECHAT_TOKEN, "1411443780", "n", good), "nonce": "n"},
        ),
    ]
    for pushed, query in cases:
        answer = await push(client, sealed_adapter, pushed, query)
        assert answer.status == 403, (pushed, query)
    assert gateway.inputs_of(openid) == []


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"WECHAT_ENCODING_AES_KEY": "too-short", "WECHAT_APP_ID": APP_ID}, "WECHAT_ENCODING_AES_KEY"),
        ({"WECHAT_ENCODING_AES_KEY": KEY}, "WECHAT_APP_ID"),
        ({"WECHAT_TOKEN": ""}, "WECHAT_TOKEN"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"WECHAT_TEXT_BYTES": "12"}, "WECHAT_TEXT_BYTES"),
        ({"WECHAT_JSON_ENTRANCE": "perhaps"}, "WECHAT_JSON_ENTRANCE"),
    ],
)
def test_bad_settings_stop_the_start_with_one_line_that_names_them(env: dict[str, str], named: str) -> None:
    environ = {
        "UNIASSIST_ENV": "test",
        "WECHAT_TOKEN": "AAAAA",
        "UNIASSIST_ADAPTER_SECRET": "x" * 20,
        "UNIASSIST_PROVIDER_CONTEXT_TOKEN": "x" * 20,
        "DATABASE_URL": "postgresql://127.0.0.1:1/x",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    } | env
    ended = forking.ended(["adapter-wechat"], env=environ)
    assert ended.returncode == 1
    assert named in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert KEY not in ended.stderr
    assert "too-short" not in ended.stderr
