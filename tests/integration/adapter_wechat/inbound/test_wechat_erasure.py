"""Who leaves is forgotten, and what comes late takes nothing of a new conversation."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest
from tests.integration.adapter_wechat.conftest import Live, Servers
from tests.integration.adapter_wechat.media.stored_files import JPEG, file_of
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.waiting import eventually

from uniassist.wechat_simulator.api import SEND, Fault


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
