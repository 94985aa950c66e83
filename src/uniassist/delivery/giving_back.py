"""Rows of a worker that is gone, or of an epoch that ended, back to pending: by sweeps over them, slice by slice.

A slice looks at so many rows that it takes a fraction of a second, however many there are and however slow the
disk. Each is durable, so a sweep that was cut short leaves less to the next one. A shard is marked as settled after
the last slice, and nothing of it is claimed, hence nothing appended, before.

A sweep is over all rows in processing first: from then on, no statement that comes late puts one into `delivered`
behind it. A row that refuses to go back is failed, or made a dead letter; the others of its slice go without it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from functools import partial

import structlog

from uniassist.delivery.failures import Failures
from uniassist.delivery.isolation import is_of_a_row, one_by_one_if_need_be
from uniassist.store import settling
from uniassist.store.delivery import SHARDS
from uniassist.store.server.pool import Pool
from uniassist.store.settling import Place, Shards, Why

log = structlog.get_logger()

FIRST_SLICE = 1000
LARGEST_SLICE = 10_000
SLICE_SECONDS = 0.5
ASIDE_SECONDS = 60.0
MOST_ASIDE = 1000


class Aside:
    """Rows that take no write at all: left alone for a while, so that they cost no statement of others."""

    def __init__(self) -> None:
        self._until: OrderedDict[int, float] = OrderedDict()

    def add(self, row_id: int) -> None:
        self._until[row_id] = time.monotonic() + ASIDE_SECONDS
        self._until.move_to_end(row_id)
        if len(self._until) > MOST_ASIDE:
            self._until.popitem(last=False)

    @property
    def ids(self) -> list[int]:
        now = time.monotonic()
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        return list(self._until)


class GivingBack:
    """`settle` for the relay, `overdue` for the maintenance, `sweep` for who has other things to do in between.

    `aside`: rows that refused every write; claims pass over them too.
    """

    def __init__(self, pool: Pool, failures: Failures, *, worker: str) -> None:
        self._pool = pool
        self._failures = failures
        self._worker = worker
        self._limit = FIRST_SLICE
        self.aside = Aside()

    def sweep(self, why: Why, shards: Collection[int], *, epoch: str | None) -> Sweep:
        return Sweep(self, why, Shards(self._worker, frozenset(shards), epoch))

    async def settle(self, shards: Collection[int], *, epoch: str) -> int:
        """Everything of this worker that isn't known to be on the streams of `epoch` is pending again.

        With it, all that it saw is durable, and no confirmation from before `epoch` changes a row of `shards`.
        """
        sweep = self.sweep("settle", shards, epoch=epoch)
        while not await sweep.step():  # ends: each slice goes on after the one before
            pass
        return sweep.of_workers_gone + sweep.of_another_epoch

    async def overdue(self, *, older_than_seconds: float) -> int:
        """Delivered long ago, and their entries are gone."""
        aside = set(self.aside.ids)
        found = await settling.overdue(self._pool, self._worker, older_than_seconds=older_than_seconds)
        ids = [row_id for row_id in found if row_id not in aside]
        moved, _ = await self._each(Shards(self._worker, range(SHARDS), None), "overdue", ids)
        return moved

    async def give_up_claiming(self, shards: Collection[int], row_id: int, error: Exception) -> None:
        """A row of `shards` that waits and refuses to be claimed."""
        await self._give_up(Shards(self._worker, frozenset(shards), None), "claim", row_id, error)

    async def slice_of(self, of: Shards, why: Why, place: Place) -> tuple[int, Place | None]:
        """Rows given back, and where to go on."""
        began, limit = time.monotonic(), self._limit
        self._limit = max(1, limit // 2)  # where it isn't answered
        aside = set(self.aside.ids)
        try:
            answer = await settling.slice_back(self._pool, of, why, place, limit=limit, aside=aside)
        except Exception as error:
            if not is_of_a_row(error):
                raise
            found = await settling.slice_ids(self._pool, of, why, place, limit=limit)
            moved, refused = await self._each(of, why, [row_id for row_id in found if row_id not in aside])
            if not moved and not refused:
                raise  # it's no row's fault
            # The same slice again then, without those that refuse: it makes durable what it sees.
            answer = moved, place
        self._limit = _next_limit(limit, time.monotonic() - began, moved=answer[0])
        return answer

    async def mark(self, of: Shards) -> None:
        await settling.mark(self._pool, of)

    async def _each(self, of: Shards, why: Why, ids: Sequence[int]) -> tuple[int, int]:
        """How many of `ids` went back, and how many refused, which are failed or set aside."""
        moved, refused = await one_by_one_if_need_be(ids, partial(settling.give_back, self._pool, of, why))
        for row_id, error in refused:
            await self._give_up(of, why, row_id, error)
        return sum(moved), len(refused)

    async def _give_up(self, of: Shards, why: Why, row_id: int, error: Exception) -> None:
        if not await self._failures.give_up(of, why, row_id, error):
            self.aside.add(row_id)


class Sweep:
    """Over all that `why` may give back in `of`; where an outage ended a step, the next one goes on.

    `of_workers_gone`, `of_another_epoch`: rows given back so far.
    """

    def __init__(self, giving_back: GivingBack, why: Why, of: Shards) -> None:
        self._giving_back = giving_back
        self._why: Why = why
        self._of = of
        self._place: Place | None = Place("processing")
        self.of_workers_gone = 0
        self.of_another_epoch = 0

    @property
    def epoch(self) -> str | None:
        return self._of.epoch

    async def step(self) -> bool:
        """One slice, or the marking after the last one: then it is True, and the sweep at its end."""
        place = self._place
        if place is None:
            await self._giving_back.mark(self._of)
            return True
        moved, following = await self._giving_back.slice_of(self._of, self._why, place)
        if place.stage == "processing":
            self.of_workers_gone += moved
            if following is None and self._of.epoch is not None:
                following = Place("delivered")
        else:
            self.of_another_epoch += moved
        self._place = following
        return False


def _next_limit(limit: int, seconds: float, *, moved: int) -> int:
    """Only a slice that moved rows tells how long that takes: one that found none would undo what others taught."""
    if seconds > SLICE_SECONDS:
        return max(1, limit // 2)
    is_light = seconds < SLICE_SECONDS / 4 and moved >= limit // 2
    return min(LARGEST_SLICE, limit * 2) if is_light else limit
