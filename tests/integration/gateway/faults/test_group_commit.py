"""What waits for its commit: within bounds, and only as long as someone waits for the answer."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.gateway.client import unique
from tests.integration.gateway.group_commits import group_commit_of

from uniassist.errors import Unavailable
from uniassist.gateway.turns import group_commit as module
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.gateway.turns.turn import Turn
from uniassist.store.ledger import Opening, RunFacts
from uniassist.store.server.pool import Pool


def turn(size_bytes: int = 0) -> Turn:
    """One event in a session of its own."""

    def decide(draft: Draft, _run: RunFacts | None) -> bytes:
        draft.append("error", {}, trace_id="t")
        return b"done"

    session_id = unique("session")
    return Turn(session_id, decide, Opening(session_id, "u", False, 0), size_bytes=size_bytes)


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
