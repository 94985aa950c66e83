"""A conversation in WeChat through the real gateway and plan: a form survives talk, events and voices are taken."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.chat_server import KEY, chat_server
from tests.integration.adapter_wechat.chat_transcript import ME, Chat, done_in
from tests.integration.adapter_wechat.model_answers import ACTS, READ_BACK
from tests.integration.adapter_wechat.wechat_pushes import fresh, message, push, shown
from tests.processes import WECHAT_TOKEN, ServiceProcess

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.web.calling.client import JsonClient
from uniassist.wechat_simulator.pushes import UNSUPPORTED, Pushed
from uniassist.wechat_simulator.simulator import WechatSimulator

DOCS = Path(__file__).parents[3] / "docs"
CHAT = """
[[provider]]
id = "chat"
kind = "openai"
fallback = true
base_url = "{url}"
api_key_env = "UNIASSIST_PROVIDER_TOKEN_CHAT"
model = "test-model"

"""
PROVIDERS = files("uniassist.gateway.providers") / "providers.toml"


@dataclass(frozen=True)
class System:
    """`service`: starts another one beside these."""

    adapter: ServiceProcess
    plan: ServiceProcess
    wechat: WechatSimulator
    database_url: str
    media: Path
    service: Callable[..., ServiceProcess]


@pytest.fixture(scope="module")
def system(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """All that a person talks to, one for the module: its people don't know of each other."""
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE wechat_talk TEMPLATE template_uniassist")
    folder = tmp_path_factory.mktemp("talk")
    servers = {
        "DATABASE_URL": postgres_server.url_for("wechat_talk"),
        "REDIS_URL": redis_server.url,
        "UNIASSIST_STREAM_PREFIX": "talk:",
    }
    started: list[ServiceProcess] = []

    def service(name: str, **env: str) -> ServiceProcess:
        process = ServiceProcess(name, folder / f"{name}.log", servers | env)
        started.append(process)
        process.start()
        return process

    with WechatSimulator(token=WECHAT_TOKEN) as wechat:
        plan = service("provider-plan")
        gateway = service("gateway", UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url)
        service("worker")
        media = folder / "media"
        adapter = service("adapter-wechat", GATEWAY_URL=gateway.url, WECHAT_MEDIA_DIR=str(media), **wechat.settings)
        wechat.watch(adapter.url)
        yield System(adapter, plan, wechat, servers["DATABASE_URL"], media, service)
        for process in reversed(started):
            process.stop()


def inputs(database_url: str, openid: str) -> list[dict[str, Any]]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT payload->>'input' FROM timeline_events WHERE user_id = %s AND kind = 'inbound' ORDER BY seq",
            (f"wx:{openid}",),
        ).fetchall()
    return [json.loads(row[0]) for row in rows]


async def test_a_form_survives_half_an_hour_of_talk(system: System, client: JsonClient) -> None:
    openid, ids = fresh("openid"), itertools.count(1)

    async def say(text: str, **changed: str) -> str:
        return (
            shown(await push(client, system.adapter, message(openid, text, MsgId=str(next(ids)), **changed))) or ""
        )

    assert "UniAssist" in await say("你好呀")
    assert "已经记下：目标“去成都旅行”" in await say("帮我安排去成都旅行")
    written = "两位（大人），面积20㎡，½价"
    assert f"3. 限制条件：{written}" in await say(f"3 {written}")
    for text, answer in (("谢谢啊", "不客气"), ("你能做什么？", "你好，我是 UniAssist"), ("再见", "再见")):
        said = await say(text)
        assert said.startswith(answer), "a courtesy is answered,"
        assert f"\n\n“请补充计划信息”还没提交：\n1. 期望完成日期\n2. 可用时间\n3. 限制条件：{written}" in said, (
            "and the form goes on"
        )
    assert "尚未接入" in await say("3:30 开会别忘了提醒我")
    assert "尚未接入" in await say("1 小时后提醒我出门")
    assert "需要是一个日期" in await say("1 下辈子")
    assert "期望完成日期 20" in await say("国庆节")
    voice = await say("", MsgType="voice", MediaId="m-1", Recognition="还有一个工作任务。")
    assert "尚未接入" in voice
    done = await say("确认")
    assert "去成都旅行" in done
    assert written in done
    assert "还没提交" not in await say("谢谢")
    heard = [each for each in inputs(system.database_url, openid) if each.get("attachments")]
    assert [(each["text"], each["attachments"][0]["type"]) for each in heard] == [("还有一个工作任务。", "audio")]


async def test_events_and_odd_messages_reach_the_gateway_once_and_are_answered(
    system: System, client: JsonClient
) -> None:
    openid = fresh("openid")

    def event(name: str, key: str) -> bytes:
        return message(openid, "", MsgType="event", MsgId="", Event=name, EventKey=key)

    scanned = event("subscribe", "qrscene_42")
    first = shown(await push(client, system.adapter, scanned))
    assert first is not None
    assert first.startswith("你好，欢迎关注")
    assert shown(await push(client, system.adapter, scanned)) == first
    clicked = shown(await push(client, system.adapter, event("CLICK", "帮我制定一个学习计划")))
    assert clicked is not None
    assert "请补充计划信息" in clicked
    odd = [
        message(openid, "", MsgType="sticker-of-the-future"),
        message(openid, "【收到不支持的消息类型，暂无法显示】"),
        message(openid, "没有编号的消息", MsgId=""),
    ]
    answers = await asyncio.gather(*(push(client, system.adapter, body) for body in odd))
    assert [answer.status for answer in answers] == [200, 200, 200]
    stored = inputs(system.database_url, openid)
    assert [each.get("raw", {}).get("EventKey") for each in stored[:2]] == ["qrscene_42", "帮我制定一个学习计划"]
    assert len(stored) == 5


async def as_written(
    wechat: WechatSimulator, openid: str, transcript: str, tmp_path: Path
) -> tuple[list[str], Chat]:
    """What is said when the person does again what they do in the transcript, which must be the same."""
    written = (DOCS / transcript).read_text(encoding="utf-8")
    chat = Chat(wechat, openid)
    blocks = [written.partition("\n\n**")[0]]
    for line in done_in(written):
        blocks += await chat.does(line)
    spoken = "\n\n".join(blocks) + "\n"
    said = tmp_path / transcript
    said.write_text(spoken, encoding="utf-8")
    assert spoken == written, f"read {said}, and copy it to docs/ if it is as it should be"
    assert len([each for each in blocks if each.startswith(ME)]) >= 25
    return blocks, chat


async def test_the_chat_is_as_it_is_written_down(system: System, tmp_path: Path) -> None:
    blocks, chat = await as_written(system.wechat, "o-wang", "wechat-chat.md", tmp_path)
    refused = [each for each in blocks if "帮不上忙" in each or "尚未接入" in each]
    assert len(refused) <= 2
    assert all("目前我能帮你的有：计划" in each or "你的计划还在" in each for each in refused)
    assert len([each for each in system.media.rglob("*") if each.is_file()]) == chat.media, (
        "what it says is kept is"
    )


async def test_the_chat_with_a_model_is_as_it_is_written_down(system: System, tmp_path: Path) -> None:
    """The model is the tests' server, with the answers of `model_answers`."""
    with chat_server() as model, WechatSimulator(token=WECHAT_TOKEN) as wechat:
        model.acts = ACTS
        file = tmp_path / "providers.toml"
        file.write_text(CHAT.format(url=model.url) + PROVIDERS.read_text("utf-8"), "utf-8")
        gateway = system.service(
            "gateway",
            UNIASSIST_PLAN_PROVIDER_BASE_URL=system.plan.url,
            UNIASSIST_PROVIDERS_FILE=str(file),
            UNIASSIST_PROVIDER_TOKEN_CHAT=KEY,
        )
        adapter = system.service(
            "adapter-wechat", GATEWAY_URL=gateway.url, WECHAT_MEDIA_DIR=str(tmp_path / "media"), **wechat.settings
        )
        wechat.watch(adapter.url)
        await as_written(wechat, "o-li", "wechat-chat-with-model.md", tmp_path)
        shown = json.dumps(model.last_said(READ_BACK)["messages"], ensure_ascii=False)
        assert "计划已确认" in shown, "what it reads back is there to be read"
        for process in (adapter, gateway):
            process.stop()


async def test_an_english_speaker_is_spoken_to_in_english(system: System) -> None:
    wechat, openid = system.wechat, fresh("openid")

    async def shown_of(pushing: Awaitable[Pushed]) -> str:
        return (await pushing).text or ""

    greeting = await shown_of(wechat.act(openid, "subscribe"))
    assert "欢迎关注" in greeting
    assert "Welcome!" in greeting, "of a stranger nothing is known"
    assert "I can help you with" in await shown_of(wechat.say(openid, "What can you do?"))
    greeting = await shown_of(wechat.act(openid, "SCAN", EventKey="42"))
    assert greeting.startswith("Welcome back!"), "not in both any more"
    for sent, said in (
        (
            wechat.send_medium(openid, "image", "e-1", b"\xff\xd8 a picture", "image/jpeg"),
            "Your picture has arrived",
        ),
        (wechat.send_medium(openid, "voice", "e-2", b"a voice", "audio/amr"), "could not make out a word"),
        (wechat.send(openid, "location", Label="上海"), "Your location has arrived"),
        (wechat.send(openid, "text", Content=UNSUPPORTED), "Got your sticker."),
        (wechat.send(openid, "of-the-future"), "I do not know this kind yet."),
        (wechat.act(openid, "SCAN", EventKey="7"), "Welcome back!"),
        (wechat.say(openid, "ok"), "I am here when you need me"),
    ):
        shown_now = await shown_of(sent)
        assert said in shown_now
        assert "Please" in shown_now or said in ("Welcome back!", "I am here when you need me")
    assert "1. Due date" in await shown_of(wechat.say(openid, "plan a trip to Tokyo"))
    pictured = await shown_of(wechat.send_medium(openid, "image", "e-3", b"\xff\xd8 another", "image/jpeg"))
    assert pictured.startswith("Your picture has arrived")
    assert "is still open:\n1. Due date" in pictured
    assert (await shown_of(wechat.say(openid, "thanks a lot"))).startswith("You are welcome.\n\n“Please tell me")
    await wechat.act(openid, "unsubscribe")
