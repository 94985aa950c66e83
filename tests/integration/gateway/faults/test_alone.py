"""A turn that comes alone locks nothing. Whatever happens between its look and its writing, it is as if it did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any

import pytest
from tests.integration.gateway.client import unique
from tests.integration.gateway.group_commits import group_commit_of
from tests.waiting import eventually

from uniassist.errors import InvalidSignature, SessionNotFound, Unavailable
from uniassist.gateway.turns import group_commit as module
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.turn import Allowance, Idempotency, Turn
from uniassist.store import ledger
from uniassist.store.ledger import Opening, RunFacts, Seen
from uniassist.store.server.pool import Connection, Pool

Meanwhile = Callable[[Pool, str], Awaitable[object]]
SEEN = ledger.seen_session


def turn(session_id: str, said: str = "ours", *, user_id: str = "u", **more: Any) -> Turn:
    """Answers with where it was written."""

    def decide(draft: Draft, _run: RunFacts | None) -> bytes:
        if draft.session.user_id != user_id:
            raise SessionNotFound("sessionId: no such session")
        event = draft.append("error", {"said": said}, trace_id=said)
        draft.session.state = f'{{"last": "{said}"}}'
        return f"{said} {event.session_id} {event.seq}".encode()

    return Turn(session_id, decide, Opening(session_id, user_id, False, 0), **more)


async def committed(pool: Pool, some: Turn) -> bytes:
    """By another gateway."""
    other = group_commit_of(pool, owner="other")
    other.start()
    try:
        return await other.submit(some)
    finally:
        await other.stop()


async def timeline(pool: Pool, session_id: str) -> list[tuple[int, str]]:
    rows = await pool.fetch(
        "SELECT seq, trace_id FROM timeline_events WHERE session_id = $1 ORDER BY seq", session_id
    )
    return [(row["seq"], row["trace_id"]) for row in rows]


async def whole(pool: Pool, session_id: str) -> None:
    """The session's row and the outbox say what its timeline says."""
    written = await timeline(pool, session_id)
    assert [seq for seq, _ in written] == list(range(1, len(written) + 1))
    row = await pool.fetchrow("SELECT seq, state->>'last' AS last FROM sessions WHERE session_id = $1", session_id)
    assert row is not None
    assert (row["seq"], row["last"]) == written[-1]
    assert await pool.fetchval("SELECT count(*) FROM outbox_events WHERE session_id = $1", session_id) == len(
        written
    )


async def nothing(_pool: Pool, _session_id: str) -> None:
    pass


async def another_turn(pool: Pool, session_id: str) -> None:
    await committed(pool, turn(session_id, "other"))


async def two_turns(pool: Pool, session_id: str) -> None:
    for said in ("first", "other"):
        await committed(pool, turn(session_id, said))


async def erased(pool: Pool, session_id: str) -> None:
    for table in ("outbox_events", "timeline_events", "sessions"):
        await pool.execute(f"DELETE FROM {table} WHERE session_id = $1", session_id)


async def erased_and_opened_again(pool: Pool, session_id: str) -> None:
    await erased(pool, session_id)
    await committed(pool, turn(session_id, "before"))


async def forgotten(pool: Pool, session_id: str) -> None:
    """Nothing but its memory changed, as by an erasure of what a person said elsewhere."""
    await pool.execute("UPDATE sessions SET state = '{}' WHERE session_id = $1", session_id)


async def rewritten_as_it_was(pool: Pool, session_id: str) -> None:
    await pool.execute("UPDATE sessions SET seq = seq WHERE session_id = $1", session_id)


def once(monkeypatch: pytest.MonkeyPatch, pool: Pool, meanwhile: Meanwhile) -> list[Seen]:
    """`meanwhile` happens after the next look. Returns what is seen."""
    looks: list[Seen] = []

    async def seen_session(connection: Connection, opening: Opening, *used: Any) -> Seen:
        looks.append(await SEEN(connection, opening, *used))
        monkeypatch.setattr(ledger, "seen_session", SEEN)
        await meanwhile(pool, opening.session_id)
        return looks[0]

    monkeypatch.setattr(ledger, "seen_session", seen_session)
    return looks


@pytest.mark.parametrize(
    ("meanwhile", "is_alone", "left"),
    [
        (nothing, True, ["before", "ours"]),
        (another_turn, False, ["before", "other", "ours"]),
        (two_turns, False, ["before", "first", "other", "ours"]),
        (erased, False, ["ours"]),
        (erased_and_opened_again, False, ["before", "ours"]),
        (forgotten, False, ["before", "ours"]),
        (rewritten_as_it_was, False, ["before", "ours"]),
    ],
)
async def test_a_session_that_goes_on(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile, is_alone: bool, left: list[str]
) -> None:
    session_id = unique("session")
    await committed(pool, turn(session_id, "before"))
    group_commit = group_commit_of(pool)
    group_commit.start()
    looks = once(monkeypatch, pool, meanwhile)
    answer = await group_commit.submit(turn(session_id))
    assert answer == f"ours {session_id} {len(left)}".encode()
    assert looks[0].version is not None
    assert group_commit.written_alone == is_alone
    assert [said for _, said in await timeline(pool, session_id)] == left
    await whole(pool, session_id)
    await group_commit.stop()


@pytest.mark.parametrize(
    ("meanwhile", "is_alone", "left"),
    [
        (nothing, True, ["ours"]),
        (another_turn, False, ["other", "ours"]),
        (erased, True, ["ours"]),
        (erased_and_opened_again, False, ["before", "ours"]),
    ],
)
async def test_a_session_that_begins(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile, is_alone: bool, left: list[str]
) -> None:
    session_id = unique("session")
    group_commit = group_commit_of(pool)
    group_commit.start()
    looks = once(monkeypatch, pool, meanwhile)
    assert await group_commit.submit(turn(session_id)) == f"ours {session_id} {len(left)}".encode()
    assert looks[0].version is None
    assert group_commit.written_alone == is_alone
    assert [said for _, said in await timeline(pool, session_id)] == left
    await whole(pool, session_id)
    await group_commit.stop()


async def test_a_session_that_goes_on_in_another_meanwhile(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id, next_id = unique("session"), unique("next")
    await committed(pool, turn(session_id, "before"))

    async def continued(pool: Pool, session_id: str) -> None:
        await committed(pool, turn(next_id, "next"))
        await pool.execute("UPDATE sessions SET successor_id = $2 WHERE session_id = $1", session_id, next_id)

    group_commit = group_commit_of(pool)
    group_commit.start()
    once(monkeypatch, pool, continued)
    assert await group_commit.submit(turn(session_id)) == f"ours {next_id} 2".encode()
    assert await group_commit.submit(turn(session_id, "later")) == f"later {next_id} 3".encode()
    assert group_commit.written_alone == 0
    await whole(pool, next_id)
    await group_commit.stop()


async def test_a_refusal_by_what_was_seen_is_no_answer(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was another's when it was seen, and is erased before anything is refused."""
    session_id = unique("session")
    await committed(pool, turn(session_id, "theirs", user_id="them"))
    group_commit = group_commit_of(pool)
    group_commit.start()
    once(monkeypatch, pool, erased)
    assert await group_commit.submit(turn(session_id)) == f"ours {session_id} 1".encode()
    await committed(pool, turn(unique("session"), "theirs", user_id="them"))
    with pytest.raises(SessionNotFound):
        await group_commit.submit(turn(session_id, user_id="them"))
    await whole(pool, session_id)
    await group_commit.stop()


async def test_a_key_that_is_used_meanwhile_gives_its_first_answer(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id, key = unique("session"), Idempotency("u", unique("key"), b"same")
    await committed(pool, turn(session_id, "before"))

    async def used(pool: Pool, session_id: str) -> None:
        # In another session, too, whose row is no fence for ours.
        await committed(pool, turn(f"{session_id}-elsewhere", "first", idempotency=key))

    group_commit = group_commit_of(pool)
    group_commit.start()
    once(monkeypatch, pool, used)
    answer = await group_commit.submit(turn(session_id, idempotency=key))
    assert answer == f"first {session_id}-elsewhere 1".encode()
    assert await group_commit.submit(turn(session_id, idempotency=key)) == answer
    assert await timeline(pool, session_id) == [(1, "before")]
    await group_commit.stop()


async def test_a_session_that_another_opened_meanwhile_for_the_same_key_counts_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id, key, allowance = unique("session"), Idempotency("u", unique("key"), b"same"), Allowance()

    async def opened(pool: Pool, session_id: str) -> None:
        await committed(pool, turn(session_id, "first", idempotency=key))

    group_commit = group_commit_of(pool)
    group_commit.start()
    once(monkeypatch, pool, opened)
    answer = await group_commit.submit(turn(session_id, idempotency=key, allowance=allowance))
    assert answer == f"first {session_id} 1".encode()
    assert allowance.opened == 0
    await group_commit.stop()


async def test_a_nonce_that_is_used_meanwhile_is_refused(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id, nonce = unique("session"), unique("nonce")
    await committed(pool, turn(session_id, "before"))

    async def used(pool: Pool, session_id: str) -> None:
        await committed(pool, turn(f"{session_id}-elsewhere", "first", nonce=nonce))

    group_commit = group_commit_of(pool)
    group_commit.start()
    once(monkeypatch, pool, used)
    with pytest.raises(InvalidSignature):
        await group_commit.submit(turn(session_id, nonce=nonce))
    assert await timeline(pool, session_id) == [(1, "before")]
    assert await group_commit.submit(turn(session_id, "later")) == f"later {session_id} 2".encode()
    await group_commit.stop()


async def test_a_connection_that_ends_in_between_leaves_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = unique("session")

    async def cut(pool: Pool, _session_id: str) -> None:
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )

    group_commit = group_commit_of(pool)
    group_commit.start()
    once(monkeypatch, pool, cut)
    with pytest.raises(Unavailable):
        await group_commit.submit(turn(session_id))
    assert await timeline(pool, session_id) == []
    assert await group_commit.submit(turn(session_id)) == f"ours {session_id} 1".encode()
    await group_commit.stop()


class Steps:
    """Lets two gateways make their steps, a look and a writing each, in the order given."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self._left = list(order)

    async def take(self, step: str) -> None:
        """Whoever is out of the order goes the way of all others, where its locks keep it."""
        if step in self._left:
            await eventually(lambda: self._left[0] == step, f"it is the turn of {step}", pause_seconds=0.001)

    def taken(self, step: str) -> None:
        if step in self._left:
            self._left.remove(step)


ORDERS = [
    order
    for order in permutations(("look a", "write a", "look b", "write b"))
    if order.index("look a") < order.index("write a") and order.index("look b") < order.index("write b")
]


@pytest.mark.parametrize("same_key", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order).replace(" ", "") for order in ORDERS])
async def test_two_gateways_in_every_order_of_their_steps(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...], is_open: bool, same_key: bool
) -> None:
    session_id, key, steps = unique("session"), unique("key"), Steps(order)
    if is_open:
        await committed(pool, turn(session_id, "before"))
    who: dict[Any, str] = {}

    async def seen_session(connection: Connection, opening: Opening, *used: Any) -> Seen:
        name = who[asyncio.current_task()]
        await steps.take(f"look {name}")
        seen = await SEEN(connection, opening, *used)
        steps.taken(f"look {name}")
        return seen

    write = module.GroupCommit._write

    async def written(self: module.GroupCommit, *arguments: Any, **more: Any) -> bool:
        name = self._owner
        await steps.take(f"write {name}")
        try:
            return await write(self, *arguments, **more)
        finally:
            steps.taken(f"write {name}")

    monkeypatch.setattr(ledger, "seen_session", seen_session)
    monkeypatch.setattr(module.GroupCommit, "_write", written)
    gateways = [group_commit_of(pool, owner=name) for name in "ab"]
    for gateway in gateways:
        gateway.start()
        who |= dict.fromkeys(gateway._writers, gateway._owner)
    turns = [
        turn(session_id, name, idempotency=Idempotency("u", key if same_key else f"{key}-{name}", b"same"))
        for name in "ab"
    ]
    answers = await asyncio.gather(*(gateway.submit(each) for gateway, each in zip(gateways, turns, strict=True)))
    written_by = [said for _, said in await timeline(pool, session_id)][is_open:]
    if same_key:
        assert len(written_by) == len(set(answers)) == 1
    else:
        assert sorted(written_by) == ["a", "b"]
        assert len(set(answers)) == 2
    overlap = order.index("look b") < order.index("write a") and order.index("look a") < order.index("write b")
    assert sum(gateway.written_alone for gateway in gateways) == (1 if overlap or same_key else 2)
    await whole(pool, session_id)
    for gateway in gateways:
        await gateway.stop()


@pytest.mark.parametrize("is_open", [False, True])
async def test_turns_of_one_session_keep_their_order_though_the_first_locks_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    """The second comes when the first is decided, and on its way to Postgres."""
    monkeypatch.setattr(module, "GATHER_SECONDS", 60)
    session_id = unique("session")
    if is_open:
        await committed(pool, turn(session_id, "before"))
    async with pool.acquire(), pool.acquire(), pool.acquire():
        pass  # nobody waits for a connection to be opened
    group_commit = group_commit_of(pool)
    write, others = group_commit._write, list[asyncio.Task[bytes]]()

    async def written(*arguments: Any, **more: Any) -> bool:
        if not others:
            others.append(asyncio.create_task(group_commit.submit(turn(session_id, "second"))))
            for _ in range(20):  # round trips, in which the other writer would have committed
                await pool.fetchval("SELECT 1")
        return await write(*arguments, **more)

    monkeypatch.setattr(group_commit, "_write", written)
    group_commit.start()
    await group_commit.submit(turn(session_id, "first"))
    await asyncio.gather(*others)
    assert [said for _, said in await timeline(pool, session_id)][is_open:] == ["first", "second"]
    assert group_commit.written_alone == 2
    await whole(pool, session_id)
    await group_commit.stop()
