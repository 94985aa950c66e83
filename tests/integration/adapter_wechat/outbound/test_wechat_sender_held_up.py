"""A sender that is held up: by its lease, a push, a freeze, a Postgres that is away, texts that are too long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
from tests.integration.adapter_wechat.conftest import SENDING, Live
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.wechat_simulator.api import SEND, Fault


async def wrote(live: Live) -> str:
    openid = fresh("openid")
    await live.wechat.say(openid, "在吗")
    return openid


async def test_a_lease_that_ran_out_does_not_make_the_same_adapter_serve_a_person_twice(own_live: Live) -> None:
    openid = await wrote(own_live)
    own_live.wechat.api.delay_seconds = 3.0
    await own_live.gateway.say(openid, "第一条")
    await own_live.under_way()
    own_live.execute("UPDATE wechat_people SET lease_expires_at = now() - interval '1 second'")
    await eventually(lambda: len(own_live.gateway.outcomes_of(openid)) == 2, "its end is reported")
    assert own_live.gateway.outcomes_of(openid) == ["sent", "sent"]
    assert own_live.wechat.texts(openid) == ["你说：在吗", "第一条"]


async def test_who_writes_while_a_message_is_under_way_gets_what_is_left_with_the_answer(own_live: Live) -> None:
    openid = await wrote(own_live)
    own_live.wechat.api.delay_seconds = 1.5
    await own_live.gateway.say(openid, "第一条", "第二条")
    await own_live.under_way()
    assert (await own_live.wechat.say(openid, "还在吗")).text == "第二条\n\n你说：还在吗"
    assert own_live.sends_to(openid) == [0]


async def test_what_was_noted_before_a_freeze_does_not_leave_after_it(own_live: Live) -> None:
    openid = await wrote(own_live)
    with psycopg.connect(own_live.servers.database_url) as locking:
        # claiming and looking don't touch the cursor, noting that a message is under way does
        locking.execute("SELECT 1 FROM wechat_cursors FOR UPDATE")
        await own_live.gateway.say(openid, "第一条")
        noting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        await eventually(lambda: own_live.execute(noting), "it is being noted")
        own_live.adapter.process.pause()
    await eventually(lambda: own_live.execute(SENDING), "it is noted")
    frozen = "SELECT 1 FROM wechat_replies WHERE state = 'sending' AND updated_at < now() - interval '6 seconds'"
    await eventually(lambda: own_live.execute(frozen), "the adapter stands still for a while")
    own_live.adapter.process.resume()
    unsent = 'uniassist_wechat_sends_total{verdict="unsent"} 1.0'
    await eventually(lambda: unsent in own_live.adapter.scraped(), "it didn't leave")
    await eventually(lambda: own_live.wechat.texts(openid)[-1] == "第一条", "it is sent when its turn comes again")
    assert own_live.sends_to(openid) == [0]


async def test_an_outcome_is_kept_until_postgres_can_be_told(
    own_live: Live, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    openid = await wrote(own_live)
    own_live.wechat.api.delay_seconds = 1.0
    await own_live.gateway.say(openid, "第一条")
    await own_live.under_way()
    name = own_live.servers.database_url.rsplit("/", 1)[1].partition("?")[0]
    log = next(tmp_path.glob("adapter-wechat-*.log"))
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as postgres:
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            failed = ("can't write down yet", "could not serve a person")
            await eventually(lambda: any(each in log.read_text() for each in failed), "Postgres was away")
            assert own_live.sends_to(openid) == [0]
        finally:
            postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    ended = "SELECT state FROM wechat_replies WHERE text = '' AND position = 2"
    assert await eventually(lambda: own_live.execute(ended), "it is written down") == [("sent",)]


async def test_texts_that_are_too_long_for_the_platform_are_split_again(own_live: Live) -> None:
    openids = [await wrote(own_live) for _ in range(3)]
    own_live.wechat.faults.add(SEND, *[Fault("code", 45002, seconds=1.0)] * 3)
    text = "".join(f"这是第{number}句话。" for number in range(10, 95))
    await asyncio.gather(*(own_live.gateway.say(openid, text) for openid in openids))

    def split() -> bool:
        return all(len(own_live.wechat.texts(openid)) == 3 for openid in openids)

    await eventually(split, "two pieces are shown to each")
    for openid in openids:
        said = [piece.split("\n", 1) for piece in own_live.wechat.texts(openid)[1:]]
        assert [head for head, _ in said] == ["（1/2）", "（2/2）"]
        assert "".join(rest for _, rest in said) == text
        assert own_live.sends_to(openid) == [45002, 0, 0]
    assert own_live.execute("SELECT DISTINCT message_sends FROM wechat_people") == [(2,)]
