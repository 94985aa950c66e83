"""The parts of a state of the model: values, which compare and hash."""

from __future__ import annotations

from typing import Any, NamedTuple

from uniassist.delivery.states import State

EVENTS = (1, 2, 3)
WORKERS = (0, 1)
NOBODY = -1
NONE = 0  # no epoch; the first one is 1

Label = tuple[Any, ...]
"""What a step is, of which few are ever read: a format and what goes into it."""


def said(label: Label) -> str:
    text, *values = label
    return str(text).format(*(set(value) if isinstance(value, frozenset) else value for value in values))


class Row(NamedTuple):
    state: State
    holder: int
    epoch: int


class Published(NamedTuple):
    """An event as it is on the global stream."""

    event: int
    epoch: int


class Postgres(NamedTuple):
    """Worker `owner` has the shard, which was settled last in `epoch`."""

    rows: tuple[Row, ...]
    owner: int
    epoch: int

    def row(self, event: int) -> Row:
        return self.rows[event - 1]

    def unconsumed(self) -> frozenset[int]:
        return frozenset([event for event in EVENTS if self.rows[event - 1].state != "consumed"])


class Redis(NamedTuple):
    """`sentinel`: the epoch, NONE without one; `is_named`: it names this process and this history.

    `unread`: what the group has not been given; None: there is no global stream.
    """

    sentinel: int
    is_named: bool
    session: tuple[int, ...]
    unread: tuple[Published, ...] | None

    @property
    def holds(self) -> bool:
        return self.sentinel != NONE and self.is_named and self.unread is not None


class Worker(NamedTuple):
    """`begun`: the epoch that it settles in next; `settled`: the one that it publishes in.

    `slices`: of the settling under way, those that are done. `batch`: claimed, to be appended; `sent`: a batch
    given up on, with its epoch, which may still arrive; `awaited`: published by it and not seen confirmed;
    `marking`: the same that it marks as delivered, by a statement that it gave up on, with their epoch.
    """

    begun: int = NONE
    settled: int = NONE
    slices: int = 0
    batch: tuple[int, ...] = ()
    sent: tuple[tuple[int, ...], int] | None = None
    awaited: frozenset[int] = frozenset()
    marking: tuple[frozenset[int], int] | None = None


class Faults(NamedTuple):
    """How many of each may still happen.

    `losses`: of all data, or of the global stream; `returns`: of Redis to an old copy; `crashes`: of Postgres;
    `takes`: of the shard by the other worker; `delays`: of an append, or of a marking as delivered, that its worker
    gives up on.
    """

    losses: int = 0
    returns: int = 0
    crashes: int = 0
    takes: int = 0
    delays: int = 0


class World(NamedTuple):
    """`durable`: what a crash would leave of Postgres. `given`: read by a consumer and not confirmed.

    `owed`: what wasn't consumed when the shard was settled in its epoch. `lossy`: the last epoch of which entries
    were lost. `copy`: what Redis may go back to.
    """

    postgres: Postgres
    durable: Postgres
    redis: Redis
    copy: Redis | None
    workers: tuple[Worker, ...]
    given: frozenset[Published]
    owed: frozenset[int]
    lossy: int
    faults: Faults


def beginning(faults: Faults) -> World:
    """Three events wait, worker 0 has the shard, Redis is empty."""
    postgres = Postgres((Row("pending", NOBODY, NONE),) * len(EVENTS), 0, NONE)
    redis = Redis(NONE, True, (), None)
    workers = (Worker(), Worker())
    return World(postgres, postgres, redis, None, workers, frozenset(), frozenset(), NONE, faults)


def with_worker(world: World, number: int, worker: Worker) -> World:
    workers = (worker, world.workers[1]) if number == 0 else (world.workers[0], worker)
    return World(*world[:4], workers, *world[5:])


def normal(world: World) -> World:
    """The same without what can't make a difference any more, so that fewer states are looked at."""
    postgres, durable, redis, copy, workers, given, owed, lossy, left = world
    if not left.crashes:
        durable = postgres
    if not left.returns:
        copy = None
    if lossy != redis.sentinel and (copy is None or lossy != copy.sentinel):
        lossy = NONE
    # Nothing leaves `consumed`, not even a crash once it is durable: no entry of such an event moves anything.
    both = zip(EVENTS, postgres.rows, durable.rows, strict=True)
    done = {event for event, now, kept in both if now.state == kept.state == "consumed"}
    if done:
        if redis.unread:
            unread = tuple(entry for entry in redis.unread if entry.event not in done)
            redis = Redis(redis.sentinel, redis.is_named, redis.session, unread)
        given = frozenset(entry for entry in given if entry.event not in done)
        workers = tuple(_without(worker, done) for worker in workers)
    return World(postgres, durable, redis, copy, workers, given, owed, lossy, left)


def _without(worker: Worker, done: set[int]) -> Worker:
    marking = worker.marking
    if marking is not None and marking[0] & done:
        left = marking[0] - done
        worker = worker._replace(marking=(left, marking[1]) if left else None)
    return worker._replace(awaited=worker.awaited - done) if worker.awaited & done else worker
