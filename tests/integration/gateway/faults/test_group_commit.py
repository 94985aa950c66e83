"""What waits for its commit: within bounds, and only as long as someone waits for the answer."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.integration.gateway.client import unique
from tests.integration.gateway.group_commits import group_commit_of
from tests.waiting import eventually

from uniassist.errors import SessionNotFound, Unavailable
from uniassist.gateway.turns import group_commit as module
from uniassist.gateway.turns.batch import BatchFacts
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.gateway.turns.turn import Turn
from uniassist.store.ledger import Opening, RunFacts
from uniassist.store.server.pool import Connection, Pool


def turn(size_bytes: int = 0, *, user_id: str = "u") -> Turn:
    """One event in a session of its own."""

    def decide(draft: Draft, _run: RunFacts | None) -> bytes:
        draft.append("error", {}, trace_id="t")
        return b"done"

    session_id = unique("session")
    return Turn(session_id, decide, Opening(session_id, user_id, False, 0), size_bytes=size_bytes)


async def submitted(group_commit: GroupCommit, some: Turn) -> asyncio.Task[bytes]:
    """The turn waits in the queue by now."""
    task = asyncio.create_task(group_commit.submit(some))
    await asyncio.sleep(0)
    return task


async def test_what_nobody_waits_for_any_more_is_not_written(pool: Pool) -> None:
    group_commit, dropped, kept = group_commit_of(pool), turn(), turn()
    caller = await submitted(group_commit, dropped)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    group_commit.start()
    assert await group_commit.submit(kept) == b"done"
    await group_commit.stop()
    written = await pool.fetch("SELECT session_id FROM timeline_events")
    assert [row["session_id"] for row in written] == [kept.session_id]


async def test_the_bytes_that_wait_are_bounded_and_free_again_after_the_commit(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", 100)
    group_commit = group_commit_of(pool)
    first = await submitted(group_commit, turn(60))
    with pytest.raises(Unavailable, match="too many inputs"):
        await group_commit.submit(turn(60))
    second = await submitted(group_commit, turn(40))
    group_commit.start()
    assert [await first, await second] == [b"done", b"done"]
    assert await group_commit.submit(turn(100)) == b"done"
    await group_commit.stop()


async def test_the_turns_that_wait_are_bounded(pool: Pool) -> None:
    group_commit = group_commit_of(pool, queue_size=2)
    waiting = [await submitted(group_commit, turn()) for _ in range(2)]
    with pytest.raises(Unavailable, match="too many inputs"):
        await group_commit.submit(turn())
    group_commit.start()
    assert await asyncio.gather(*waiting) == [b"done", b"done"]
    await group_commit.stop()


async def test_after_its_end_it_takes_nothing_more(pool: Pool) -> None:
    group_commit = group_commit_of(pool)
    group_commit.start()
    await group_commit.stop()
    with pytest.raises(Unavailable, match="stopping"):
        await group_commit.submit(turn())


@pytest.fixture
async def held(pool: Pool) -> AsyncIterator[Turn]:
    """A turn whose session somebody holds until the test's end."""
    some = turn()
    group_commit = group_commit_of(pool)
    group_commit.start()
    await group_commit.submit(some)
    await group_commit.stop()
    async with pool.acquire() as holder, holder.transaction():
        await holder.fetch("SELECT FROM sessions WHERE session_id = $1 FOR UPDATE", some.session_id)
        yield some


async def is_waiting(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_who_waits_for_a_lock_holds_up_its_own_session_only(pool: Pool, held: Turn) -> None:
    group_commit = group_commit_of(pool)
    group_commit.start()
    blocked = await submitted(group_commit, held)
    await eventually(lambda: is_waiting(pool), "the first transaction waits")
    assert await group_commit.submit(turn()) == b"done"
    assert not blocked.done()
    blocked.cancel()


async def test_turns_gather_until_the_transaction_before_only_commits(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is kept from its commit's end by a constraint that is looked at there, and by a lock in it."""
    monkeypatch.setattr(module, "GATHER_SECONDS", 60)
    await pool.execute(
        "CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.user_id = 'slow' THEN PERFORM pg_advisory_xact_lock(7); END IF; RETURN NULL; END $$"
    )
    await pool.execute(
        "CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON timeline_events DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION waits()"
    )
    group_commit = group_commit_of(pool)
    group_commit.start()
    async with pool.acquire() as holder:
        await holder.execute("SELECT pg_advisory_lock(7)")
        slow = await submitted(group_commit, turn(user_id="slow"))
        await eventually(lambda: is_waiting(pool), "the first transaction commits")
        second = await submitted(group_commit, turn())
        assert await second == b"done", "written and committed beside the first one's commit"
        assert not slow.done()
        await holder.execute("SELECT pg_advisory_unlock(7)")
    assert await slow == b"done"
    await group_commit.stop()


async def test_what_comes_while_a_transaction_is_written_shares_the_next(
    pool: Pool, held: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHER_SECONDS", 60)
    sizes: list[int] = []
    look_up = GroupCommit._look_up

    async def noted(self: GroupCommit, connection: Connection, turns: Sequence[Turn]) -> BatchFacts:
        sizes.append(len(turns))
        return await look_up(self, connection, turns)

    monkeypatch.setattr(GroupCommit, "_look_up", noted)
    group_commit = group_commit_of(pool)
    firsts = [await submitted(group_commit, each) for each in (held, turn())]  # one alone takes no transaction
    group_commit.start()
    await eventually(lambda: is_waiting(pool), "the first transaction waits")
    waiting = [await submitted(group_commit, turn()) for _ in range(8)]
    for _ in range(20):  # round trips, in which the other writer would have begun
        assert await is_waiting(pool)
    assert sizes == [2]
    for first in firsts:
        first.cancel()
    await pool.fetchval("SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted")
    assert await asyncio.gather(*waiting) == [b"done"] * 8
    assert len(sizes) <= 3, "the writer whose transaction failed may have taken some of them"
    await group_commit.stop()


async def test_what_a_refused_turn_held_is_free_at_once(pool: Pool) -> None:
    """Its body may be a megabyte, and the collector of rings counts objects, not bytes."""
    group_commit = group_commit_of(pool)
    group_commit.start()

    class Body:
        pass

    async def refused() -> weakref.ref[Body]:
        body = Body()

        def decide(_draft: Draft, _run: RunFacts | None) -> bytes:
            raise SessionNotFound(f"of {body}")

        session_id, is_refused = unique("session"), False
        try:
            await group_commit.submit(Turn(session_id, decide, Opening(session_id, "u", False, 0)))
        except SessionNotFound:
            is_refused = True
        assert is_refused
        return weakref.ref(body)

    gc.disable()
    try:
        left = await refused()
        for _ in range(4):  # a writer has its latest batch until the next
            await group_commit.submit(turn())
        assert left() is None
    finally:
        gc.enable()
    await group_commit.stop()
