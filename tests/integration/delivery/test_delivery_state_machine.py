"""The statements that move events, against a model that knows only `delivery.states` and who may do what.

Two workers take turns with an operator in any order: leases expire, rows are claimed, delivered, consumed, failed,
given back, rescued, republished and replayed. After each step every row is as the model says.
"""

from __future__ import annotations

import asyncio
import datetime as dt
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

from uniassist.delivery.states import FINAL, STATES, STEPS, State, Step, applies, is_spent
from uniassist.store import delivery, outbox, settling
from uniassist.store.delivery import Failure
from uniassist.store.server.pool import Pool

T = TypeVar("T")
WORKERS = ("one", "two")
SESSIONS = ("s1", "s2", "s3")
EPOCHS = ("1.e", "2.e", "3.e")
LEASE_SECONDS = 600.0
MAX_ATTEMPTS = 2
LATER_MS = 3_600_000

REFUSED: dict[settling.Why, tuple[Step, Step]] = {
    "settle": ("fail to settle", "bury unsettled"),
    "rescue": ("fail to rescue", "bury unrescued"),
    "claim": ("fail to claim", "bury unclaimed"),
}

workers = st.sampled_from(WORKERS)
epochs = st.sampled_from(EPOCHS)
# Rows that a slice looks at.
limits = st.sampled_from((1, 2, 3, 100))
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
    # Failed at a time that is still to come: the clock was set back.
    early: bool = False
    holder: str | None = None
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
                "UPDATE delivery_shards SET owner = NULL, lease_expires_at = 'epoch', epoch = NULL"
            )
        )
        self.insert_some(sessions)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def move(
        self, ids: Iterable[int], step: Step, *, worker: str | None = None, epoch: str | None = None
    ) -> list[Row]:
        """The rows that `step` may move, made for `worker` and `epoch`, moved."""
        rows = [self.rows[row_id] for row_id in sorted(ids)]
        moved = [row for row in rows if applies(STEPS[step], row, worker=worker, epoch=epoch)]
        for row in moved:
            row.state = STEPS[step].target
            if row.state != "processing":
                row.holder = None
        return moved

    def picked(self, numbers: set[int], worker: str, aim: str) -> list[int]:
        ids = self.mine(self.rows, worker) if aim == "own" else sorted(self.rows)
        return sorted({ids[number % len(ids)] for number in numbers}) if ids else []

    def mine(self, ids: Iterable[int], worker: str) -> list[int]:
        return [i for i in ids if self.rows[i].state == "processing" and self.rows[i].holder == worker]

    def shards(self, worker: str) -> dict[int, int]:
        """Which shards are whose, under which token, is the leases' own business; here it is only asked."""
        rows = self.do(
            self.pool.fetch(
                "SELECT shard, token FROM delivery_shards WHERE owner = $1 AND lease_expires_at > now()", worker
            )
        )
        return {row["shard"]: row["token"] for row in rows}

    def settled_in(self, worker: str, epoch: str) -> set[int]:
        """Those of its shards that have not been settled in a newer epoch since."""
        rows = self.do(self.pool.fetch("SELECT shard FROM delivery_shards WHERE epoch = $1", epoch))
        return {row["shard"] for row in rows} & self.shards(worker).keys()

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

    def sweep(
        self, why: settling.Why, worker: str, held: Iterable[int], epoch: str | None, *, limit: int
    ) -> dict[str, int]:
        """In slices of `limit` rows; how many moved in each stage."""
        of, moved = settling.Shards(worker, set(held), epoch), {"processing": 0, "delivered": 0}
        for stage in ("processing", "delivered") if epoch is not None else ("processing",):
            place: settling.Place | None = settling.Place(stage)
            while place is not None:
                ids = self.do(settling.slice_ids(self.pool, of, why, place, limit=limit))
                assert len(ids) <= limit
                count, place = self.do(settling.slice_back(self.pool, of, why, place, limit=limit, aside=()))
                moved[stage] += count
        self.do(settling.mark(self.pool, of))
        return moved

    @rule(worker=workers, epoch=st.none() | epochs, limit=limits)
    def heartbeat(self, worker: str, epoch: str | None, limit: int = 2) -> None:
        found = self.do(
            delivery.heartbeat(self.pool, worker, lease_seconds=LEASE_SECONDS, epoch=epoch, take=True, per_second=0)
        )
        held = found.kept | found.taken
        strays = {
            row_id: row.state
            for row_id, row in self.rows.items()
            if self.in_shards(row, held)
            and applies(STEPS["rescue"], row, worker=worker, epoch=epoch)
            and (epoch is not None or row.state == "processing")
        }
        assert found.set_back == any(
            row.state == "failed" and row.early and not row.due and self.in_shards(row, found.kept)
            for row in self.rows.values()
        )
        assert found.strays == any(self.in_shards(self.rows[row_id], found.kept) for row_id in strays)
        if found.taken or found.strays:
            states = list(strays.values())
            expected = {stage: states.count(stage) for stage in ("processing", "delivered")}
            assert self.sweep("rescue", worker, held, epoch, limit=limit) == expected
            self.move(strays, "rescue", worker=worker, epoch=epoch)

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
        set_back=st.booleans(),
    )
    def claim(self, worker: str, limit: int, then: str, few: set[int], epoch: str, set_back: bool) -> None:
        if not self.shards(worker):
            self.heartbeat(worker, None)
        if not self.settled_in(worker, epoch):
            self.settle(worker, epoch)
        held = self.shards(worker)
        settled = self.settled_in(worker, epoch)
        claimable = []
        for row_id, row in sorted(self.rows.items()):
            waits_behind = any(
                other_id < row_id and other.state == "failed" and other.session == row.session
                for other_id, other in self.rows.items()
            )
            is_due = row.state == "pending" or (row.state == "failed" and (row.due or (set_back and row.early)))
            if is_due and not waits_behind and self.in_shards(row, settled):
                claimable.append(row_id)
        claimed = self.take(worker, held, epoch, limit, set_back=set_back)
        ids = [taken.id for taken in claimed]
        assert ids == sorted(ids)
        assert len(ids) == min(limit, len(claimable))
        for session in SESSIONS:
            in_session = [row_id for row_id in claimable if self.rows[row_id].session == session]
            assert [i for i in ids if i in in_session] == in_session[: len(set(ids) & set(in_session))]
        assert set(ids) <= set(claimable)
        self.move(ids, "claim")
        for taken in claimed:
            self.rows[taken.id].holder, self.rows[taken.id].epoch = worker, epoch
        if then == "fail":
            self.fail(worker, few, "own", later=False)
        elif then == "deliver":
            self.deliver(worker, few, "own", epoch)

    def take(
        self, worker: str, held: dict[int, int], epoch: str, limit: int, *, set_back: bool = False
    ) -> list[delivery.Claimed]:
        return self.do(delivery.claim(self.pool, worker, held, epoch=epoch, limit=limit, set_back=set_back))

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
        self.move(ids, "release", worker=worker)

    @precondition(lambda self: any(row.state == "processing" for row in self.rows.values()))
    @rule(worker=workers, numbers=some, aim=aims, epoch=epochs)
    def deliver(self, worker: str, numbers: set[int], aim: str, epoch: str) -> None:
        ids = self.picked(numbers, worker, aim)
        self.do(delivery.deliver(self.pool, worker, ids, epoch=epoch))
        self.move(ids, "deliver", worker=worker, epoch=epoch)

    @rule(worker=workers, numbers=few, aim=aims, epoch=epochs)
    def consume(self, worker: str, numbers: set[int], aim: str, epoch: str) -> None:
        ids = self.picked(numbers, worker, aim)
        lags = self.do(delivery.consume(self.pool, ids, epoch=epoch, consumer="c", bounds=(0.1, 1.0)))
        assert lags.events == len(self.move(ids, "consume", epoch=epoch))

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
            row.due, row.early = not later, False
            spent += is_spent(row.attempts, MAX_ATTEMPTS)
            self.move([row_id], "bury" if is_spent(row.attempts, MAX_ATTEMPTS) else "fail", worker=worker)
        assert sum(record["status"] == "dead_letter" for record in written) == spent

    @rule(worker=workers, numbers=few, epoch=epochs)
    def fail_to_confirm(self, worker: str, numbers: set[int], epoch: str) -> None:
        ids = self.picked(numbers, worker, "any")
        failures = [Failure(row_id, "can't be confirmed", 0, epoch) for row_id in ids]
        written = self.do(delivery.fail(self.pool, worker, failures))
        moved = 0
        for row_id in ids:
            row = self.rows[row_id]
            is_last = is_spent(row.attempts + 1, MAX_ATTEMPTS)
            if self.move([row_id], "bury unconfirmed" if is_last else "unconfirm", epoch=epoch):
                row.attempts, row.due, row.early, moved = row.attempts + 1, True, False, moved + 1
        assert len(written) == moved

    @precondition(lambda self: any(row.state == "processing" for row in self.rows.values()))
    @rule(worker=workers, numbers=few, aim=aims)
    def bury(self, worker: str, numbers: set[int], aim: str) -> None:
        for row_id in self.picked(numbers, worker, aim):
            buried = self.do(delivery.bury(self.pool, worker, Failure(row_id, "", 0), reason="refused"))
            assert (buried is not None) == bool(self.move([row_id], "bury", worker=worker))

    @precondition(lambda self: any(row.state in STEPS["settle"].sources for row in self.rows.values()))
    @rule(worker=workers, epoch=epochs, limit=limits)
    def settle(self, worker: str, epoch: str, limit: int = 2) -> None:
        self.shards_fenced(worker)
        held = self.shards(worker)
        ids = [i for i, row in self.rows.items() if row.state == "processing" or self.in_shards(row, held)]
        moved = self.move(ids, "settle", worker=worker, epoch=epoch)
        assert sum(self.sweep("settle", worker, held, epoch, limit=limit).values()) == len(moved)
        found = self.do(self.pool.fetch("SELECT shard, epoch FROM delivery_shards WHERE owner = $1", worker))
        assert all(row["epoch"] >= epoch for row in found if row["shard"] in held), "and none went back"

    @rule(worker=workers, numbers=few, epoch=epochs, why=st.sampled_from(tuple(REFUSED)), for_good=st.booleans())
    def give_up(self, worker: str, numbers: set[int], epoch: str, why: settling.Why, for_good: bool) -> None:
        """A row that refuses to be given back, or claimed, of all that the worker may do that with."""
        held, (fail, bury) = self.shards(worker), REFUSED[why]
        for row_id in self.picked(numbers, worker, "any"):
            row = self.rows[row_id]
            is_last = for_good or is_spent(row.attempts + 1, MAX_ATTEMPTS)
            given_up = settling.give_up(
                self.pool,
                settling.Shards(worker, held, epoch),
                why,
                row_id,
                reason="refused",
                delay_ms=0,
                for_good=for_good,
            )
            found, is_mine = self.do(given_up), self.in_shards(row, held) or row.holder == worker
            moved = self.move([row_id] if is_mine else [], bury if is_last else fail, worker=worker, epoch=epoch)
            assert (found is not None) == bool(moved)
            if moved and not for_good:
                row.attempts, row.due, row.early = row.attempts + 1, True, False

    @rule(worker=workers, numbers=some, before=epochs, after=epochs)
    def consume_late(self, worker: str, numbers: set[int], before: str, after: str) -> None:
        """A confirmation of an epoch that ended, after the settling in another one."""
        self.settle(worker, after)
        held = self.shards(worker)
        ids = [i for i in self.picked(numbers, worker, "any") if self.in_shards(self.rows[i], held)]
        lags = self.do(delivery.consume(self.pool, ids, epoch=before, consumer="c", bounds=(0.1, 1.0)))
        moved = self.move(ids, "consume", epoch=before)
        assert lags.events == len(moved)
        assert before == after or not moved

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
            row.attempts, row.due, row.early = 0, True, False
        self.replayed |= {(token, row_id) for row_id in fresh}

    @rule()
    def time_passes(self) -> None:
        self.do(self.pool.execute("UPDATE outbox_events SET next_retry_at = now()"))
        for row in self.rows.values():
            row.due = True

    @rule()
    def the_clock_is_set_back(self) -> None:
        self.do(self.pool.execute("UPDATE outbox_events SET updated_at = now() + interval '1 day'"))
        for row in self.rows.values():
            row.early = row.state == "failed"

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
                row.holder,
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
                assert early.session != late.session or early.holder == late.holder or not self.holds(late)

    def holds(self, row: Row) -> bool:
        return row.holder is not None and self.in_shards(row, self.shards(row.holder))


@pytest.fixture
def machine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Machine]]:
    for module in (delivery, settling):  # no row is forgotten while the machine thinks
        monkeypatch.setattr(module, "ROW_LEASE", dt.timedelta(seconds=LEASE_SECONDS))
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


@pytest.mark.slow
def test_every_statement_keeps_to_the_states(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_nothing_leaves_consumed_and_every_state_is_reached() -> None:
    assert {step.target for step in STEPS.values()} == set(STATES)
    assert all(FINAL.isdisjoint(step.sources) for step in STEPS.values())
