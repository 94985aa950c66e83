"""A reminder in WeChat: within 48 hours of a person's message it is said, later kept until they write again."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from tests.integration.provider_reminder.reminding import Reminding, system
from tests.processes import WECHAT_TOKEN, ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.wechat_simulator.simulator import WechatSimulator


@pytest.fixture
def wechat() -> Iterator[WechatSimulator]:
    with WechatSimulator(token=WECHAT_TOKEN) as simulator:
        yield simulator


@pytest.fixture
def reminding(
    postgres_server: EmbeddedPostgres,
    redis_server: EmbeddedRedis,
    tmp_path_factory: pytest.TempPathFactory,
    wechat: WechatSimulator,
) -> Iterator[Reminding]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE reminding_wechat TEMPLATE template_uniassist")
    folder = tmp_path_factory.mktemp("reminding-wechat")
    env = {
        "DATABASE_URL": postgres_server.url_for("reminding_wechat"),
        "REDIS_URL": redis_server.url,
        "UNIASSIST_STREAM_PREFIX": "reminding-wechat:",
    }
    for made in system(folder, env):
        media = {"WECHAT_MEDIA_DIR": str(folder / "media")}
        for name, more in (("worker", {}), ("adapter-wechat", wechat.settings | media)):
            process = ServiceProcess(name, folder / f"{name}.log", made.env | more)
            made.started.append(process)
            process.start()
        wechat.watch(process.url)
        yield made


async def test_it_comes_within_the_window_and_else_when_the_person_writes(
    reminding: Reminding, wechat: WechatSimulator
) -> None:
    person = "openid-of-the-reminded"
    user = f"wx:{person}"
    await wechat.say(person, "明天九点提醒我交报告")
    await eventually(lambda: any("提醒你：交报告" in text for text in wechat.texts(person)), "the answer", 60)
    reminding.due_now(user)
    await eventually(lambda: "提醒：交报告" in wechat.texts(person), "the reminder", 60)

    await wechat.say(person, "后天九点提醒我交房租")
    await eventually(lambda: any("提醒你：交房租" in text for text in wechat.texts(person)), "the answer", 60)
    reminding.rows("UPDATE wechat_people SET message_at = message_at - interval '49 hours', event_at = NULL")
    reminding.due_now(user)
    parked = "SELECT state FROM wechat_replies WHERE openid = %s AND text = '提醒：交房租'"
    await eventually(lambda: reminding.rows(parked, person) == [("parked",)], "that it is kept", 60)
    assert not any("提醒：交房租" in text for text in wechat.texts(person))
    await wechat.say(person, "你好")
    await eventually(lambda: any("提醒：交房租" in text for text in wechat.texts(person)), "what was kept", 60)
    assert sum("提醒：交房租" in text for text in wechat.texts(person)) == 1
