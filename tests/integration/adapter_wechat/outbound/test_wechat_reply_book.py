"""What is decided on a snapshot of a person is written only while they are as they were."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import psycopg
import pytest
from tests.waiting import eventually

from uniassist.adapter_wechat.outbound.reply_book import ReplyBook, revise
from uniassist.store.server.gathering import TOGETHER_SECONDS
from uniassist.store.server.pool import Pool, create_pool
from uniassist.store.wechat import erasure as wechat_erasure
from uniassist.store.wechat import people as store
from uniassist.store.wechat.people import Changes, Due, NewReport, PushRecord

OPENID = "o-1"
EVENT = """
WITH session AS (
    INSERT INTO sessions AS s (session_id, user_id, signed, seq) VALUES ('wx-session:o-1', 'wx:o-1', true, 1)
    ON CONFLICT (session_id) DO UPDATE SET seq = s.seq + 1 RETURNING seq
)
INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)
SELECT $1, 't', 'wx-session:o-1', 'wx:o-1', seq, 0, 'interaction',
       '{"event": {"type": "assistant_message", "text": "好"}, "source": "provider"}' FROM session
"""

IS_BLOCKED = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid())"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await create_pool(database_url, application_name="test")
    await pushed(opened, "p-1")
    await opened.execute(EVENT, "e-1")
    yield opened
    await opened.close()


async def pushed(pool: Pool, key: str, openid: str = OPENID) -> PushRecord | None:
    acted_at = dt.datetime.now(dt.UTC)
    return await store.receive(pool, key, openid, hold_seconds=6.0, acted_at=acted_at, opens="message")


CHANGES: dict[str, Callable[[Pool], Awaitable[object]]] = {
    "a push": lambda pool: pushed(pool, "p-2"),
    "an event on the stream": lambda pool: store.mark_due(pool, ["e-1"]),
    "a look for what the stream never told": lambda pool: store.sweep(
        pool, longest_pause_seconds=60, longest_account_pause_seconds=900
    ),
    "a push that was let go": lambda pool: store.let_go(pool, "p-1"),
    "a sender": lambda pool: store.claim_due(pool, "other", lease_seconds=10.0, limit=1),
    "a person who left": lambda pool: wechat_erasure.erase(pool, OPENID, dt.datetime.now(dt.UTC)),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_nothing_is_written_over_what_somebody_else_changed(pool: Pool, change: str) -> None:
    if change == "a sender":
        await store.let_go(pool, "p-1")
    found = await store.read_snapshot(pool, OPENID, "p-1")
    assert found is not None
    await CHANGES[change](pool)
    report = NewReport("wx-session:o-1", "t", None, ("e-1",), "sent", "d")
    changes = Changes(replace(found.person, menu='{"a": 1}'), reports=[report], due=Due(None), reply="好")
    before = await everything(pool)
    assert await store.write_changes(pool, found, changes) is False
    assert await everything(pool) == before


async def everything(pool: Pool) -> list[list[str]]:
    tables = ("wechat_people", "wechat_pushes", "wechat_replies", "wechat_reports", "wechat_cursors")
    return [[str(row) for row in await pool.fetch(f"SELECT * FROM {table}")] for table in tables]


async def test_the_same_is_written_when_nobody_did(pool: Pool) -> None:
    found = await store.read_snapshot(pool, OPENID, "p-1")
    assert found is not None
    assert [event.event_id for event in found.new_events] == ["e-1"]
    assert await store.write_changes(pool, found, Changes(replace(found.person, menu='{"a": 1}'), reply="好"))
    again = await store.read_snapshot(pool, OPENID, "p-1")
    assert again is not None
    assert (again.person.menu, again.push and again.push.reply) == ('{"a": 1}', "好")
    assert again.version != found.version


async def test_of_many_who_decide_at_once_each_sees_what_those_before_it_did(pool: Pool) -> None:
    def count(book: ReplyBook) -> int:
        book.changes.person = replace(book.changes.person, failures=book.changes.person.failures + 1)
        return book.changes.person.failures

    counted = await asyncio.gather(*(revise(pool, OPENID, count) for _ in range(30)))
    assert sorted(each for each in counted if each is not None) == list(range(1, 31))


async def test_a_push_is_taken_up_once_by_those_who_answer_it_at_once(pool: Pool) -> None:
    def answer(book: ReplyBook) -> list[str]:
        waiting = book.in_state("waiting")
        book.put(replace(reply, state="sent") for reply in waiting)
        return [reply.event_id for reply in waiting]

    taken = await asyncio.gather(*(revise(pool, OPENID, answer, "p-1") for _ in range(10)))
    assert sorted(each for each in taken if each is not None) == [*([[]] * 9), ["e-1"]]


async def test_a_push_is_let_go_in_the_order_in_which_replies_are_written(pool: Pool) -> None:
    async with pool.acquire() as writing, writing.transaction():
        await writing.execute("SELECT FROM wechat_people WHERE openid = $1 FOR UPDATE", OPENID)
        letting_go = asyncio.create_task(store.let_go(pool, "p-1"))
        await eventually(lambda: writing.fetchval(IS_BLOCKED), "it waits for the person")
        await writing.execute("UPDATE wechat_pushes SET reply = '好' WHERE push_key = 'p-1'", timeout=10)
    await letting_go
    found = await store.read_snapshot(pool, OPENID, "p-1")
    assert found is not None
    assert found.push is not None
    assert found.push.reply == "好"


async def test_a_person_we_never_met_has_no_snapshot_and_nothing_is_decided(pool: Pool) -> None:
    assert await revise(pool, "o-2", lambda _: "decided") is None


async def test_pushes_that_come_together_are_each_told_of_themselves(pool: Pool) -> None:
    gone = "o-gone"
    await wechat_erasure.erase(pool, gone, dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1))
    asked = [("p-1", OPENID), ("p-3", "o-3"), ("p-gone", gone), ("p-4", "o-4"), ("p-5", "o-3"), ("p-1", OPENID)]
    found = await asyncio.gather(*(pushed(pool, key, openid) for key, openid in asked))
    assert [push and push.pushes for push in found] == [2, 1, None, 1, 1, 3]
    people = await asyncio.gather(*(store.read_snapshot(pool, openid) for _, openid in asked[:4]))
    assert [each and each.person.openid for each in people] == [OPENID, "o-3", None, "o-4"]


async def test_a_person_whose_row_is_held_fails_nobody_who_came_with_them(pool: Pool) -> None:
    async with pool.acquire() as holding:
        async with holding.transaction():
            await holding.execute("SELECT FROM wechat_people WHERE openid = $1 FOR UPDATE", OPENID)
            first = asyncio.create_task(pushed(pool, "p-0", "o-0"))
            held = asyncio.create_task(pushed(pool, "p-2"))
            others = [asyncio.create_task(pushed(pool, f"p-{n}", f"o-{n}")) for n in (3, 4, 5)]
            async with asyncio.timeout(4):
                found = await asyncio.gather(first, *others)
            assert [push and push.pushes for push in found] == [1] * 4
            assert not held.done()
        push = await held
    assert push is not None
    assert push.pushes == 1


async def test_what_was_written_while_we_stood_still_is_not_decided_anew(pool: Pool, database_url: str) -> None:
    """A sender that decides anew takes the message that it has just noted for one of a sender who is gone."""
    decided: Counter[str] = Counter()
    openids = [OPENID, "o-2", "o-3"]

    def decide(book: ReplyBook) -> str:
        decided[book.found.person.openid] += 1
        return book.found.person.openid

    await asyncio.gather(*(pushed(pool, f"p-{openid}", openid) for openid in openids))
    with psycopg.connect(database_url) as holding, psycopg.connect(database_url, autocommit=True) as looking:
        holding.execute("SELECT 1 FROM wechat_people FOR UPDATE")
        revising = [asyncio.create_task(revise(pool, openid, decide)) for openid in openids]
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        await eventually(lambda: looking.execute(waiting).fetchone() == (2,), "one waits, and the others together")
        holding.rollback()  # all is written now, and nothing of ours runs
        time.sleep(TOGETHER_SECONDS + 0.2)
    assert await asyncio.gather(*revising) == openids
    assert decided == dict.fromkeys(openids, 1)


LEASE = "UPDATE wechat_people SET lease_owner = 'me', lease_expires_at = now() - interval '1 second'"
RENEWED = "SELECT openid FROM wechat_people WHERE lease_expires_at > now() ORDER BY openid"


async def test_whom_a_sender_serves_it_does_not_claim_again(pool: Pool) -> None:
    await store.let_go(pool, "p-1")
    await pool.execute(LEASE)
    assert await store.claim_due(pool, "me", lease_seconds=10.0, limit=1, served=[OPENID]) == []
    assert await store.claim_due(pool, "me", lease_seconds=10.0, limit=1, served=["o-2"]) == [OPENID]


async def test_leases_are_renewed_while_one_of_their_people_is_being_written(pool: Pool) -> None:
    await pool.execute("INSERT INTO wechat_people (openid) VALUES ('o-0'), ('o-2')")
    await pool.execute(LEASE)
    async with pool.acquire() as writing, writing.transaction():
        await writing.execute("SELECT 1 FROM wechat_people WHERE openid = $1 FOR UPDATE", OPENID)
        await store.renew_leases(pool, "me", ["o-0", OPENID, "o-2"], lease_seconds=10.0)
    assert [row["openid"] for row in await pool.fetch(RENEWED)] == ["o-0", "o-2"]
