"""What a push is answered with fits into one message, and what is left of the replies isn't cut to shreds."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.adapter_wechat.conftest import Servers
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.integration.adapter_wechat.wechat_pushes import message
from tests.processes import ADAPTER_SECRET, CONTEXT_TOKEN

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.gateway_client import GatewayClient
from uniassist.adapter_wechat.inbound.answering import Inbound, now
from uniassist.adapter_wechat.inbound.deliveries import Deliveries
from uniassist.adapter_wechat.inbound.erasure import Erasure
from uniassist.adapter_wechat.inbound.messages import read_fields, read_push
from uniassist.adapter_wechat.media.storage import MediaStore
from uniassist.adapter_wechat.outbound import passive_reply
from uniassist.adapter_wechat.outbound.passive_reply import Asked
from uniassist.adapter_wechat.outbound.permission import Permission
from uniassist.store.server.pool import Pool, create_pool
from uniassist.store.wechat import people as store
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Layout
from uniassist.web.calling.client import JsonClient

OPENID = "o-1"
SESSION = "INSERT INTO sessions (session_id, user_id, signed, seq) VALUES ('wx-session:o-1', 'wx:o-1', true, $1)"
EVENT = """
INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, run_id, seq, timestamp_ms, kind, payload)
VALUES ($1, 't', 'wx-session:o-1', 'wx:o-1', 'r', $2, 0, 'interaction',
        jsonb_build_object('event', jsonb_build_object('type', 'assistant_message', 'text', $3::text),
                           'source', 'provider'))
"""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await create_pool(database_url, application_name="test")
    await store.receive(opened, "p-1", OPENID, hold_seconds=6.0, acted_at=dt.datetime.now(dt.UTC), opens="message")
    yield opened
    await opened.close()


async def said(pool: Pool, *texts: str) -> None:
    await pool.execute(SESSION, len(texts))
    for seq, text in enumerate(texts, 1):
        await pool.execute(EVENT, f"e-{seq}", seq, text)


async def test_words_of_the_channels_own_are_cut_to_the_limit(pool: Pool) -> None:
    text = await passive_reply.claim(pool, Asked("p-1", OPENID, words="字" * 900), 2000, is_last=True)
    assert text is not None
    assert text.startswith("字" * 600)
    assert text.endswith("…")
    assert len(text.encode()) <= 2000


async def test_replies_for_which_other_words_stand_are_reported_with_the_one_that_says_them(pool: Pool) -> None:
    await said(pool, "我看不懂图片。", "真的看不懂。")
    asked = Asked("p-1", OPENID, trace_id="t", instead=phrases.not_text("image", "zh", ""))
    assert await passive_reply.claim(pool, asked, 2000, is_last=True) == phrases.not_text("image", "zh", "")
    (report,) = await store.reports(pool, 10)
    assert (sorted(report.event_ids), report.outcome) == (["e-1", "e-2"], "sent")


async def test_a_reply_in_which_nothing_can_be_seen_answers_no_push(pool: Pool) -> None:
    await said(pool, "\x01\u200b\x1b")
    asked = Asked("p-1", OPENID, trace_id="t")
    assert await passive_reply.claim(pool, asked, 2000, is_last=True) is None
    await pool.execute("UPDATE sessions SET seq = 2")
    await pool.execute(EVENT, "e-2", 2, "\x01好\x1b")
    assert await passive_reply.claim(pool, asked, 2000, is_last=True) == "好"
    (report,) = await store.reports(pool, 10)
    assert report.event_ids == ["e-2"]


@pytest.mark.parametrize("ending", ["", phrases.say("more", "zh")])
async def test_a_reply_for_which_there_is_no_room_waits_whole(pool: Pool, ending: str) -> None:
    await said(pool, "回答" * 200)
    text = await passive_reply.claim(
        pool, Asked("p-1", OPENID, words="字" * 640, ending=ending), 2000, is_last=True
    )
    assert text is not None
    assert text.endswith(ending or "字")
    assert "回答" not in text
    assert len(text.encode()) <= 2000
    found = await store.read_snapshot(pool, OPENID)
    assert found is not None
    assert [(reply.text, reply.state) for reply in found.open_replies] == [("回答" * 200, "waiting")]


async def test_where_only_pushes_answer_one_whose_answer_nobody_waits_for_any_more_says_how_to_fetch_it(
    pool: Pool, own_gateway: GatewayDouble, servers: Servers, client: JsonClient, tmp_path: Path
) -> None:
    class Unreadable(GatewayClient):
        async def finished(self, *_: object) -> bool:
            return False

    own_gateway.provider_seconds = 60.0
    layout = Layout(servers.stream_prefix, f"{servers.stream_prefix}all")
    deliveries, clients = Deliveries(), LaneClients(servers.redis_url, layout)
    inbound = Inbound(
        pool,
        Unreadable(client, own_gateway.url, adapter_secret=ADAPTER_SECRET, token=CONTEXT_TOKEN),
        deliveries,
        Permission(None),
        None,
        Erasure(pool, clients, MediaStore(str(tmp_path)), deliveries),
        limit_bytes=2000,
        wake=lambda: None,
    )
    push = read_push(read_fields(message(OPENID, "计划")))
    assert await inbound.answer_push(push, now()) == phrases.say("still_working", "zh")
    await clients.aclose()
