"""Pushes in each mode and format are answered in the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.adapter_wechat.conftest import Live, Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.processes import WECHAT_TOKEN, ServiceProcess

from uniassist.wechat_simulator.pushes import Format, Mode
from uniassist.wechat_simulator.simulator import WechatSimulator

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"


@pytest.fixture(scope="module")
def sealed(
    shared_gateway: GatewayDouble, shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WechatSimulator]:
    """An account in an encrypted mode, watched by an adapter that has its key."""
    with WechatSimulator(token=WECHAT_TOKEN, aes_key=KEY) as wechat:
        env = shared_servers.env(shared_gateway, WECHAT_ENCODING_AES_KEY=KEY, **wechat.settings)
        del env["WECHAT_APP_SECRET"]
        process = ServiceProcess("adapter-wechat", tmp_path_factory.mktemp("sealed") / "log", env)
        process.start()
        wechat.watch(process.url)
        yield wechat
        process.stop()


@pytest.mark.parametrize("mode", ["safe", "compatible"])
@pytest.mark.parametrize("form", ["xml", "json"])
async def test_encrypted_pushes_are_answered_in_their_own_format(
    sealed: WechatSimulator, gateway: GatewayDouble, mode: Mode, form: Format
) -> None:
    sealed.pusher.mode, sealed.pusher.format = mode, form
    assert await sealed.handshake()
    openid = fresh("openid")
    assert (await sealed.say(openid, "密语 <b> ]]>")).text == "你说：密语 <b> ]]>"
    assert [taken.text for taken in gateway.inputs_of(openid)] == ["密语 <b> ]]>"]


async def test_plain_pushes_in_json_are_answered_in_json(live: Live) -> None:
    openid = fresh("openid")
    live.wechat.pusher.format = "json"
    try:
        assert await live.wechat.handshake()
        assert (await live.wechat.say(openid, "你好")).text == "你说：你好"
        assert (await live.wechat.act(openid, "VIEW", EventKey="https://a.example")).text is None
    finally:
        live.wechat.pusher.format = "xml"
