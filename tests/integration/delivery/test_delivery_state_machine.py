"""The statements that move events, against a model that knows only `delivery.states` and who may do what.

Two workers take turns with an operator in any order: leases expire, rows are claimed, delivered, consumed, failed,
given back, rescued, republished and replayed. After each step every row is as the model says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from uniassist.delivery.states import STATES, STEPS, State, Step, after, is_spent
from uniassist.store import delivery, outbox
from uniassist.store.delivery import Failure
from uniassist.store.pool import Pool

T = TypeVar("T")
WORKERS = ("one", "two")
SESSIONS = ("s1", "s2", "s3")
EPOCHS = ("e1", "e2")
LEASE_SECONDS = 600.0
MAX_ATTEMPTS = 2
LATER_MS = 3_600_000

workers = st.sampled_from(WORKERS)
epochs = st.sampled_from(EPOCHS)
some = st.sets(st.integers(0, 11), min_size=1, max_size=6)
few = st.sets(st.integers(0, 11), min_size=1, max_size=2)
# Rows that the worker has in hand; or any, which it must not be able to move.
aims = st.sampled_from(("own", "own", "any"))


@dataclass
class Row:
    session: str
    state: State = "pending"
    attempts: int = 0
    due: bool = True
    owner: str | None = None
    epoch: str | None = None


class Machine(RuleBasedStateMachine):
    pool: ClassVar[Pool]
    loop: ClassVar[asyncio.AbstractEventLoop]
    shard_of: ClassVar[dict[str, int]]

    @initialize(sessions=st.lists(st.sampled_from(SESSIONS), min_size=2, max_size=8))
    def start(self, sessions: list[str]) -> None:
        self.rows: dict[int, Row] = {}
        self.replayed: set[tuple[str, int]] = set()
        self.do(
            self.pool.execute(
                "TRUNCATE outbox_events, outbox_replay_log, delivery_workers RESTART IDENTITY; "
                "UPDATE delivery_shards SET owner = NULL, lease_expires_at = 'epoch'"
            )
        )
        self.insert_some(sessions)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def move(self, ids: Iterable[int], step: Step) -> list[Row]:
        """The rows that `step` may move, moved."""
        moved = [self.rows[row_id] for row_id in sorted(ids) if self.rows[row_id].state in STEPS[step][0]]
        for row in moved:
            row.state = after(row.state, step)
            if row.state != "processing":
                row.owner = None
        return moved

    def picked(self, numbers: set[int], worker: str, aim: str) -> list[int]:
        ids = self.mine(self.rows, worker) if aim == "own" else sorted(self.rows)
        return sorted({ids[number % len(ids)] for number in numbers}) if ids else []

    def mine(self, ids: Iterable[int], worker: str) -> list[int]:
        return [i for i in ids if self.rows[i].state == "processing" and self.rows[i].owner == worker]

    def shards(self, worker: str) -> dict[int, int]:
        """Which shards are whose, under which token, is the leases' own business; here it is only asked."""
        rows = self.do(
            self.pool.fetch(
                "SELECT shard, token FROM delivery_shards WHERE owner = $1 AND lease_expires_at > now()", worker
            )
        )
        return {row["shard"]: row["token"] for row in rows}

    def in_shards(self, row: Row, shards: Iterable[int]) -> bool:
        return self.shard_of[row.session] in shards

    @rule(sessions=st.lists(st.sampled_from(SESSIONS), min_size=1, max_size=4))
    def insert_some(self, sessions: list[str]) -> None:
        for session in sessions:
            self.insert(session)

    def insert(self, session: str) -> None:
        row_id = self.do(
            self.pool.fetchval(
                "INSERT INTO outbox_events (event_id, session_id, payload, max_attempts) VALUES ($1, $2, '{}', $3) "
                "RETURNING id",
                f"e{len(self.rows)}",
                session,
                MAX_ATTEMPTS,
            )
        )
        self.rows[row_id] = Row(session)

    @rule(worker=workers, epoch=st.none() | epochs)
    def beat(self, worker: str, epoch: str | None) -> None:
        beat = self.do(
            delivery.beat(self.pool, worker, lease_seconds=LEASE_SECONDS, epoch=epoch, take=True, per_second=0)
        )
        held = beat.kept | beat.taken
        strays = [
            row_id
            for row_id, row in self.rows.items()
            if row.state == "processing" and row.owner != worker and self.in_shards(row, held)
        ]
        lost = [
            row_id
            for row_id, row in self.rows.items()
            if epoch is not None and row.state == "delivered" and row.epoch != epoch and self.in_shards(row, held)
        ]
        kept_strays = [i for i in strays + lost if self.in_shards(self.rows[i], beat.kept)]
        assert beat.strays == bool(kept_strays)
        if beat.taken or beat.strays:
            found = self.do(delivery.rescue(self.pool, worker, held, epoch=epoch))
            assert (found.rescued, found.republished) == (len(strays), len(lost))
            self.move(strays + lost, "settle")

    @rule(worker=workers)
    def lose_the_lease(self, worker: str) -> None:
        self.do(self.pool.execute("UPDATE delivery_shards SET lease_expires_at = now() WHERE owner = $1", worker))

    @rule(worker=workers)
    def leave(self, worker: str) -> None:
        self.do(delivery.leave(self.pool, worker))
        assert self.shards(worker) == {}

    @rule(
        worker=workers,
        limit=st.integers(1, 8),
        then=st.sampled_from(("fail", "fail", "deliver", "keep")),
        few=few,
        epoch=epochs,
    )
    def claim(self, worker: str, limit: int, then: str, few: set[int], epoch: str) -> None:
        if not self.shards(worker):
            self.beat(worker, None)
        held = self.shards(worker)
        claimable = []
        for row_id, row in sorted(self.rows.items()):
            waits_behind = any(
                other_id < row_id and other.state == "failed" and other.session == row.session
                for other_id, other in self.rows.items()
            )
            is_due = row.state == "pending" or (row.state == "failed" and row.due)
            if is_due and not waits_behind and self.in_shards(row, held):
                claimable.append(row_id)
        claimed = self.take(worker, held, epoch, limit)
        ids = [taken.id for taken in claimed]
        assert ids == sorted(ids)
        assert len(ids) == min(limit, len(claimable))
        for session in SESSIONS:
            in_session = [row_id for row_id in claimable if self.rows[row_id].session == session]
            assert [i for i in ids if i in in_session] == in_session[: len(set(ids) & set(in_session))]
        assert set(ids) <= set(claimable)
        self.move(ids, "claim")
        for taken in claimed:
            self.rows[taken.id].owner, self.rows[taken.id].epoch = worker, epoch
        if then == "fail":
            self.fail(worker, few, "own", later=False)
        elif then == "deliver":
            self.deliver(worker, few, "own", epoch)

    def take(self, worker: str, held: dict[int, int], epoch: str, limit: int) -> list[delivery.Claimed]:
        return self.do(
            delivery.claim(self.pool, worker, held, epoch=epoch, limit=limit, lease_seconds=LEASE_SECONDS)
        )

    @rule(worker=workers)
    def claim_late(self, worker: str) -> None:
        """A claim that was sent before the worker settled, or before it lost its shards, and arrives after it."""
        before = self.shards(worker)
        self.shards_fenced(worker)
        assert self.take(worker, before, EPOCHS[0], 100) == []

    def shards_fenced(self, worker: str) -> None:
        assert self.do(delivery.fence(self.pool, worker)) == self.shards(worker)

    @precondition(lambda self: any(row.state == "processing" for row in self.rows.values()))
    @rule(worker=workers, numbers=some, aim=aims)
    def release(self, worker: str, numbers: set[int], aim: str) -> None:
        ids = self.picked(numbers, worker, aim)
        self.do(delivery.release(self.pool, worker, ids))
        self.move(self.mine(ids, worker), "release")

    @precondition(lambda self: any(row.state == "processing" for row in self.rows.values()))
    @rule(worker=workers, numbers=some, aim=aims, epoch=epochs)
    def deliver(self, worker: str, numbers: set[int], aim: str, epoch: str) -> None:
        ids = self.picked(numbers, worker, aim)
        self.do(delivery.deliver(self.pool, worker, ids, epoch=epoch))
        claimed_for_it = [row_id for row_id in self.mine(ids, worker) if self.rows[row_id].epoch == epoch]
        self.move(claimed_for_it, "deliver")

    @rule(worker=workers, numbers=few, aim=aims)
    def consume(self, worker: str, numbers: set[int], aim: str) -> None:
        ids = self.picked(numbers, worker, aim)
        lags = self.do(delivery.consume(self.pool, ids, consumer="c", bounds=(0.1, 1.0)))
        assert lags.events == len(self.move(ids, "consume"))

    @precondition(lambda self: any(row.state == "processing" for row in self.rows.values()))
    @rule(worker=workers, numbers=some, aim=aims, later=st.sampled_from((False, False, True)))
    def fail(self, worker: str, numbers: set[int], aim: str, later: bool) -> None:
        ids = self.picked(numbers, worker, aim)
        failures = [Failure(row_id, "broken", LATER_MS if later else 0) for row_id in ids]
        written = self.do(delivery.fail(self.pool, worker, failures))
        spent = 0
        for row_id in self.mine(ids, worker):
            row = self.rows[row_id]
            row.attempts += 1
            row.due = not later
            spent += is_spent(row.attempts, MAX_ATTEMPTS)
            self.move([row_id], "bury" if is_spent(row.attempts, MAX_ATTEMPTS) else "fail")
        assert sum(record["status"] == "dead_letter" for record in written) == spent

    @precondition(lambda self: any(row.state in STEPS["settle"][0] for row in self.rows.values()))
    @rule(worker=workers, epoch=epochs)
    def settle(self, worker: str, epoch: str) -> None:
        self.shards_fenced(worker)
        held = self.shards(worker)
        ids = self.mine(self.rows, worker) + [
            row_id
            for row_id, row in self.rows.items()
            if row.state == "delivered" and row.epoch != epoch and self.in_shards(row, held)
        ]
        assert self.do(delivery.settle(self.pool, worker, epoch=epoch)) == len(ids)
        self.move(ids, "settle")

    @precondition(lambda self: any(row.state == "dead_letter" for row in self.rows.values()))
    @rule(session=st.none() | st.sampled_from(SESSIONS), token=st.sampled_from(("t", "u")))
    def replay(self, session: str | None, token: str) -> None:
        chosen = [
            i for i, row in self.rows.items() if row.state == "dead_letter" and session in (None, row.session)
        ]
        fresh = [row_id for row_id in chosen if (token, row_id) not in self.replayed]

        async def replay() -> outbox.Replayed:
            async with self.pool.acquire() as connection:
                return await outbox.replay(
                    connection,
                    outbox.Selection(None, session, 100),
                    token=token,
                    note=None,
                    reset_attempts=True,
                    dry_run=False,
                )

        assert self.do(replay()) == outbox.Replayed(len(chosen), len(fresh), len(fresh))
        for row in self.move(fresh, "replay"):
            row.attempts, row.due = 0, True
        self.replayed |= {(token, row_id) for row_id in fresh}

    @rule()
    def time_passes(self) -> None:
        self.do(self.pool.execute("UPDATE outbox_events SET next_retry_at = now()"))
        for row in self.rows.values():
            row.due = True

    @invariant()
    def every_row_is_as_the_model_says(self) -> None:
        if not hasattr(self, "rows"):
            return
        found = self.do(self.pool.fetch("SELECT id, status, attempts, locked_by, epoch FROM outbox_events"))
        assert len(found) == len(self.rows)
        for record in found:
            row = self.rows[record["id"]]
            assert (record["status"], record["attempts"], record["locked_by"]) == (
                row.state,
                row.attempts,
                row.owner,
            )
            if row.state == "delivered":
                assert record["epoch"] == row.epoch

    @invariant()
    def no_two_workers_have_a_session_in_hand(self) -> None:
        """Who holds the shard never has a later event of a session than a former owner's that is not rescued."""
        if not hasattr(self, "rows"):
            return
        in_hand = [(i, row) for i, row in sorted(self.rows.items()) if row.state == "processing"]
        for at, (_, early) in enumerate(in_hand):
            for _, late in in_hand[at + 1 :]:
                assert early.session != late.session or early.owner == late.owner or not self.holds(late)

    def holds(self, row: Row) -> bool:
        return row.owner is not None and self.in_shards(row, self.shards(row.owner))


@pytest.fixture
def machine(database_url: str) -> Iterator[type[Machine]]:
    loop = asyncio.new_event_loop()
    pool = loop.run_until_complete(delivery.create_pool(database_url))
    rows = loop.run_until_complete(
        pool.fetch("SELECT s, hashtext(s) & 31 AS shard FROM unnest($1::text[]) s", list(SESSIONS))
    )
    Machine.loop, Machine.pool = loop, pool
    Machine.shard_of = {row["s"]: row["shard"] for row in rows}
    yield Machine
    loop.run_until_complete(pool.close())
    loop.close()


def test_every_statement_keeps_to_the_states(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_nothing_leaves_consumed_and_every_state_is_reached() -> None:
    reached = {target for _, target in STEPS.values()}
    assert reached | {"pending"} == set(STATES)
    assert all("consumed" not in sources for sources, _ in STEPS.values())
