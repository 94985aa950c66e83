"""`uniassist wechat check`: each fault is found, named with its remedy, and no secret is said."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests import forking
from tests.integration.adapter_wechat.conftest import Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.processes import WECHAT_TOKEN, ServiceProcess

from uniassist.adapter_wechat.account_check import AccountFinding, examine
from uniassist.settings import Secret, WechatAccountSettings
from uniassist.web.calling.client import JsonClient
from uniassist.wechat_simulator.api import SEND, TOKEN, Fault
from uniassist.wechat_simulator.simulator import APP_ID, APP_SECRET, WechatSimulator

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
OTHER_KEY = "A" * 43


@dataclass(frozen=True)
class Account:
    wechat: WechatSimulator
    url: str

    @property
    def settings(self) -> WechatAccountSettings:
        return WechatAccountSettings(Secret(WECHAT_TOKEN), APP_ID, Secret(APP_SECRET), Secret(KEY), self.wechat.url)

    async def look(self, client: JsonClient, **changed: object) -> dict[str, AccountFinding]:
        settings = dataclasses.replace(self.settings, **changed)  # type: ignore[arg-type]
        found = await examine(client, settings, self.url)
        assert not any(secret in str(found) for secret in (APP_SECRET, KEY, OTHER_KEY, "access_token="))
        return {finding.name: finding for finding in found}


@pytest.fixture(scope="module")
def adapter_url(
    shared_gateway: GatewayDouble, shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    env = shared_servers.env(shared_gateway, WECHAT_ENCODING_AES_KEY=KEY, WECHAT_APP_ID=APP_ID)
    process = ServiceProcess("adapter-wechat", tmp_path_factory.mktemp("checked") / "log", env)
    process.start()
    yield f"{process.url}/wechat/webhook"
    process.stop()


@pytest.fixture
def account(adapter_url: str) -> Iterator[Account]:
    with WechatSimulator(token=WECHAT_TOKEN, aes_key=KEY) as wechat:
        yield Account(wechat, adapter_url)


def unused_url() -> str:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


async def test_a_good_account_is_well_and_nobody_hears_of_it(account: Account, client: JsonClient) -> None:
    found = await account.look(client)
    assert {name: finding.level for name, finding in found.items()} == dict.fromkeys(
        ("AES key", "platform", "clock", "token", "permission", "handshake", "push"), "ok"
    )
    assert [call.code for call in account.wechat.calls(SEND)] == [40003]
    assert account.wechat.account.forced == []


@pytest.mark.parametrize(
    ("code", "level", "remedy"),
    [
        (40164, "fail", "IP 白名单"),
        (61004, "fail", "IP 白名单"),
        (40013, "fail", "WECHAT_APP_ID"),
        (40125, "fail", "WECHAT_APP_SECRET"),
        (40243, "fail", "unfreeze"),
        (45009, "fail", "used up"),
        (99999, "fail", "全局返回码"),
    ],
)
async def test_a_refused_token_names_its_remedy(
    account: Account, client: JsonClient, code: int, level: str, remedy: str
) -> None:
    account.wechat.faults.add(TOKEN, Fault("code", code))
    found = await account.look(client)
    assert (found["token"].level, "permission" in found) == (level, False)
    assert remedy in found["token"].remedy
    assert f"errcode {code}, rid " in found["token"].said


async def test_the_platform_itself_refuses_a_wrong_id_secret_and_address(
    account: Account, client: JsonClient
) -> None:
    assert "40125" in (await account.look(client, app_secret=Secret("another-secret-0123")))["token"].said
    wrong_id = await account.look(client, app_id="wx-of-others")
    assert "40013" in wrong_id["token"].said
    assert "WECHAT_APP_ID" in wrong_id["push"].remedy
    account.wechat.account.ip_is_allowed = False
    assert "203.0.113.9" in (await account.look(client))["token"].remedy


async def test_an_account_without_permission_is_warned_of(account: Account, client: JsonClient) -> None:
    account.wechat.account.may_send = False
    found = (await account.look(client))["permission"]
    assert (found.level, "48001" in found.said, "微信认证" in found.remedy) == ("warn", True, True)


async def test_a_platform_that_is_not_there_or_is_something_else_fails_the_check(
    account: Account, client: JsonClient
) -> None:
    found = await account.look(client, api_base_url=unused_url())
    assert (found["platform"].level, "WECHAT_API_BASE_URL" in found["platform"].remedy) == ("fail", True)
    found = await account.look(client, api_base_url=account.url.removesuffix("/wechat/webhook"))
    assert "something else" in found["platform"].remedy


@pytest.mark.parametrize(("seconds", "level"), [(120, "warn"), (-120, "warn"), (600, "fail")])
async def test_a_clock_that_is_off_is_warned_of_and_fails_from_five_minutes_on(
    account: Account, client: JsonClient, seconds: int, level: str
) -> None:
    account.wechat.clock.advance(seconds)
    found = (await account.look(client))["clock"]
    assert (found.level, "NTP" in found.remedy) == (level, True)
    assert ("behind" in found.said) == (seconds > 0)


async def test_a_webhook_that_is_set_up_otherwise_or_missing_fails_the_check(
    account: Account, client: JsonClient
) -> None:
    token = (await account.look(client, token=Secret("another-token-01")))["handshake"]
    assert (token.level, "WECHAT_TOKEN" in token.remedy) == ("fail", True)
    key = (await account.look(client, encoding_aes_key=Secret(OTHER_KEY)))["push"]
    assert (key.level, "WECHAT_ENCODING_AES_KEY" in key.remedy) == ("fail", True)
    plain = await account.look(client, encoding_aes_key=None)
    assert (plain["AES key"].level, plain["push"].level) == ("warn", "fail")
    gone = (await Account(account.wechat, f"{unused_url()}/wechat/webhook").look(client))["webhook"]
    assert (gone.level, "is the adapter up" in gone.remedy) == ("fail", True)
    other = (await Account(account.wechat, f"{account.wechat.url}/health").look(client))["handshake"]
    assert (other.level, "something else" in other.remedy) == ("fail", True)


async def test_a_key_of_another_form_or_for_no_app_fails_the_check(account: Account, client: JsonClient) -> None:
    found = await account.look(client, encoding_aes_key=Secret("too-short"))
    assert (found["AES key"].level, "EncodingAESKey" in found["AES key"].remedy) == ("fail", True)
    found = await account.look(client, app_id=None)
    assert "WECHAT_APP_ID" in found["AES key"].remedy


def test_the_command_says_it_in_json_and_by_its_exit_code(account: Account) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "UNIASSIST_ENV": "test",
        "WECHAT_TOKEN": WECHAT_TOKEN,
        "WECHAT_ENCODING_AES_KEY": KEY,
        **account.wechat.settings,
    }

    def run(*more: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return forking.ended(["wechat", "check", "--url", account.url, *more], env=env | changed)

    good = run("--json")
    assert (good.returncode, json.loads(good.stdout)["ok"]) == (0, True), good.stderr
    bad = run(WECHAT_APP_SECRET="another-secret-0123")
    assert (bad.returncode, "40125" in bad.stdout, "→" in bad.stdout) == (1, True, True)
    assert "another-secret" not in bad.stdout + bad.stderr
    unset = run("--json", WECHAT_TOKEN="")
    assert (unset.returncode, json.loads(unset.stdout)["findings"][0]["name"]) == (1, "settings")
