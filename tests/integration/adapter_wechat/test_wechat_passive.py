"""What a push is answered with fits into one message, and what is left of the replies isn't cut to shreds."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import pytest

from uniassist.adapter_wechat import passive, phrases
from uniassist.adapter_wechat.passive import Asked
from uniassist.store import wechat as store
from uniassist.store.pool import Pool, create_pool

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
    text = await passive.claim(pool, Asked("p-1", OPENID, words="字" * 900), 2000, is_last=True)
    assert text is not None
    assert text.startswith("字" * 600)
    assert text.endswith("…")
    assert len(text.encode()) <= 2000


@pytest.mark.parametrize("ending", ["", phrases.MORE])
async def test_a_reply_for_which_there_is_no_room_waits_whole(pool: Pool, ending: str) -> None:
    await said(pool, "回答" * 200)
    text = await passive.claim(pool, Asked("p-1", OPENID, words="字" * 640, ending=ending), 2000, is_last=True)
    assert text is not None
    assert text.endswith(ending or "字")
    assert "回答" not in text
    assert len(text.encode()) <= 2000
    found = await store.look(pool, OPENID)
    assert found is not None
    assert [(reply.text, reply.state) for reply in found.open_replies] == [("回答" * 200, "waiting")]
