"""All modes and formats, media, and people who leave."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from tests.integration.adapter_wechat.conftest import Live, Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.processes import WECHAT_TOKEN, ServiceProcess
from tests.waiting import eventually

from uniassist.wechat_simulator.api import MEDIA, SEND, Fault
from uniassist.wechat_simulator.pushes import Format, Mode
from uniassist.wechat_simulator.simulator import WechatSimulator

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
JPEG = b"\xff\xd8\xff\xe0 a photo"


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


@pytest.mark.parametrize(
    ("kind", "mime", "attached"),
    [("image", "image/jpeg", "image"), ("voice", "audio/amr", "audio"), ("video", "video/mp4", "file")],
)
async def test_media_are_fetched_and_attached(live: Live, kind: str, mime: str, attached: str) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    pushed = await live.wechat.send_medium(openid, kind, media_id, JPEG, mime)
    assert pushed.text is not None
    (taken,) = live.gateway.inputs_of(openid)
    assert taken.attachments is not None
    (found,) = taken.attachments
    assert (found.id, found.type, found.mime, found.size) == (media_id, attached, mime, len(JPEG))
    assert found.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert file_of(found.local_uri).read_bytes() == JPEG
    assert openid not in str(found.local_uri)


async def test_a_medium_that_fails_at_first_is_fetched_later_and_no_message_waits_for_it(live: Live) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    live.wechat.faults.add(MEDIA, Fault("status", 502))
    await live.wechat.send_medium(openid, "image", media_id, JPEG, "image/jpeg")
    (taken,) = live.gateway.inputs_of(openid)
    assert taken.attachments is not None
    (found,) = taken.attachments
    assert (found.mime, found.size) == (None, None)
    assert not file_of(found.local_uri).exists()
    live.execute("UPDATE wechat_media SET due_at = now() WHERE media_id = %s", media_id)
    await eventually(lambda: file_of(found.local_uri).exists(), "the file is there")
    assert file_of(found.local_uri).read_bytes() == JPEG


async def test_a_medium_that_is_gone_is_given_up(live: Live) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    await live.wechat.send(openid, "image", MediaId=media_id, PicUrl="https://a.example/p.jpg")
    (taken,) = live.gateway.inputs_of(openid)
    assert taken.attachments is not None
    (found,) = taken.attachments
    assert (found.id, found.url, found.local_uri) == (media_id, "https://a.example/p.jpg", None)
    assert live.execute("SELECT state FROM wechat_media WHERE media_id = %s", media_id) == [("lost",)]


async def test_who_leaves_is_forgotten_but_for_the_numbers_of_the_timeline(live: Live) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    await live.wechat.say(openid, "我的秘密计划")
    await live.wechat.send_medium(openid, "image", media_id, JPEG, "image/jpeg")
    live.wechat.faults.add(SEND, Fault("code", 45015))
    await live.gateway.say(openid, "给你的秘密")
    await eventually(lambda: "parked" in live.gateway.outcomes_of(openid), "something is parked")
    photo = live.gateway.inputs_of(openid)[1]
    assert photo.attachments is not None
    path = file_of(photo.attachments[0].local_uri)
    assert path.exists()
    before = live.execute("SELECT seq, kind FROM timeline_events WHERE user_id = %s ORDER BY seq", f"wx:{openid}")
    left = await live.wechat.act(openid, "unsubscribe")
    assert left.text is None
    rows = live.execute(
        "SELECT seq, kind, payload::text FROM timeline_events WHERE user_id = %s ORDER BY seq", f"wx:{openid}"
    )
    assert [row[:2] for row in rows] == before
    said = " ".join(str(row[2]) for row in rows)
    assert "秘密" not in said
    assert media_id not in said
    assert not path.exists()
    for table in ("people", "pushes", "replies", "reports", "media"):
        assert live.execute(f"SELECT count(*) FROM wechat_{table} WHERE openid = %s", openid) == [(0,)], table
    assert (await live.wechat.again(left)).tries == ["answered"], "it may come again"


async def test_who_comes_back_is_told_nothing_of_before(live: Live) -> None:
    openid = fresh("openid")
    await live.wechat.say(openid, "计划")
    live.wechat.faults.add(SEND, Fault("code", 45015))
    await live.gateway.say(openid, "旧消息")
    await eventually(lambda: "parked" in live.gateway.outcomes_of(openid), "something is parked")
    await live.wechat.act(openid, "unsubscribe")
    await live.wechat.act(openid, "subscribe")
    assert (await live.wechat.say(openid, "1")).text == "你说：1"
    assert (await live.wechat.say(openid, "还在吗")).text == "你说：还在吗"


async def test_what_was_said_before_leaving_is_not_new_when_it_is_pushed_again(live: Live) -> None:
    openid = fresh("openid")
    said = await live.wechat.say(openid, "我的秘密")
    followed = await live.wechat.act(openid, "subscribe")
    await live.wechat.act(openid, "unsubscribe")
    assert (await live.wechat.again(said)).text is None
    assert (await live.wechat.again(followed)).text is None
    assert live.execute("SELECT FROM wechat_people WHERE openid = %s", openid) == []
    assert live.execute("SELECT FROM wechat_pushes WHERE openid = %s", openid) == []


@pytest.mark.parametrize("seconds_ago", [0, 60])
async def test_a_leave_that_is_told_late_takes_nothing_of_the_new_conversation(
    live: Live, seconds_ago: int
) -> None:
    openid = fresh("openid")
    left = await live.wechat.act(openid, "unsubscribe", CreateTime=int(time.time()) - seconds_ago)
    if seconds_ago:  # nobody here knows of it
        live.execute("DELETE FROM wechat_left")
    await live.wechat.act(openid, "subscribe")
    assert (await live.wechat.say(openid, "计划")).text is not None
    assert (await live.wechat.again(left)).tries == ["answered"]
    assert (await live.wechat.say(openid, "1")).text == "你选了：go", "the menu is open"
    assert "计划" in str(
        live.execute("SELECT payload::text FROM timeline_events WHERE user_id = %s", f"wx:{openid}")
    )


async def test_what_is_on_its_way_when_its_writer_leaves_goes_no_further(live: Live) -> None:
    openid = fresh("openid")
    live.gateway.refuse_next = 1000
    saying = asyncio.create_task(live.wechat.say(openid, "秘密"))
    await eventually(lambda: live.gateway.attempts, "it is on its way")
    await live.wechat.act(openid, "unsubscribe")
    live.gateway.refuse_next = 0
    said = await saying
    assert (said.tries, said.text) == (["cut", "answered"], None)
    assert live.gateway.inputs_of(openid) == []


async def test_a_leave_that_can_not_be_carried_out_now_is_asked_for_again(own_live: Live, servers: Servers) -> None:
    openid = fresh("openid")
    await own_live.wechat.say(openid, "秘密")
    own_live.execute("ALTER TABLE wechat_people RENAME TO hidden_people")
    leaving = asyncio.create_task(own_live.wechat.act(openid, "unsubscribe"))
    left = await leaving
    assert left.tries == ["status 503"] * 3
    own_live.execute("ALTER TABLE hidden_people RENAME TO wechat_people")
    assert (await own_live.wechat.again(left)).tries == ["answered"]
    with psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM wechat_people").fetchone() == (0,)


def file_of(uri: str | None) -> Path:
    assert uri is not None
    return Path(unquote(urlsplit(uri).path))
