"""The engine as a model: one session of three events, two workers that share its shard, every step one at a time.

`Model.steps` gives each thing that the engine may do next, by name, with the state after it; `Model.faults` what
may happen to it. What moves a row is the table of `uniassist.delivery.states`. A durable commit takes all that was
committed before with it; an asynchronous one reaches the disk when it likes, and a crash undoes what has not. A
worker that does nothing for a while is one that was stopped; what it holds and sent arrives whenever it arrives.

`Mends` takes what guards the order out again, one by one, so that a test sees what each is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.model.world import (
    EVENTS,
    NOBODY,
    NONE,
    WORKERS,
    Label,
    Postgres,
    Published,
    Redis,
    Row,
    Worker,
    World,
    with_worker,
)
from uniassist.delivery.states import STEPS, Guard, State, Step, Transition, applies

BATCH = 2

Next = Iterator[tuple[Label, World]]


class Violation(Exception):
    """What must not be."""


@dataclass(frozen=True)
class Mends:
    """All in by default.

    `table`: the transitions. `settling_flushes`: also when no row was changed. `only_epochs_make_the_stream`: a
    reader that finds none doesn't. `epochs_know_their_history`: a primary that was demoted and promoted again isn't
    what it was. `claims_name_the_epoch`: nothing is claimed for one that the shard has left.
    `claimed_ahead_is_dropped`: what forgets the epoch forgets what was claimed in it. `marked_after_all_slices`: a
    shard counts as settled, and is claimed from, when all its rows have been looked at.
    `processing_is_looked_at_first`: before what is delivered. `slice_rows`: as many are looked at in one statement.
    """

    table: Mapping[Step, Transition] = field(default_factory=lambda: STEPS)
    settling_flushes: bool = True
    only_epochs_make_the_stream: bool = True
    epochs_know_their_history: bool = True
    claims_name_the_epoch: bool = True
    claimed_ahead_is_dropped: bool = True
    marked_after_all_slices: bool = True
    processing_is_looked_at_first: bool = True
    slice_rows: int = 2

    def without_guards(self, step: Step, *sources: State) -> Mends:
        """`step` moves any row that is in one of `sources`."""
        free: dict[State, frozenset[Guard]] = {source: frozenset() for source in sources}
        return replace(self, table={**self.table, step: replace(self.table[step], sources=free)})


def check(world: World) -> None:
    """What must be true of every state. Raises Violation."""
    redis = world.redis
    if not redis.holds:
        return
    if world.lossy == redis.sentinel:
        raise Violation(f"entries of epoch {redis.sentinel} were lost, and it goes on")
    if redis.sentinel == world.postgres.epoch:
        for event in world.owed - world.postgres.unconsumed() - set(redis.session):
            raise Violation(f"{event} is consumed since the settling, and on no stream")


class Model:
    def __init__(self, mends: Mends) -> None:
        self._mends = mends
        self._rows: dict[tuple[Step, Row, int, int, bool], Row] = {}

    def steps(self, world: World) -> Next:
        """What the engine may do next."""
        for number in WORKERS:
            worker = world.workers[number]
            if worker.settled:
                yield from self._notice(world, number, worker)
                yield from self._claim(world, number, worker)
                yield from self._heal(world, number, worker)
            elif not worker.begun:
                yield from self._begin(world, number, worker)
            else:
                yield from self._settle(world, number, worker)
            if worker.batch and worker.settled:
                yield from self._append(world, number, worker)
            if worker.awaited:
                yield from self._deliver(world, number, worker)
            if worker.sent is not None:
                after, _ = self._appended(world, *worker.sent)
                yield (
                    ("{}'s {} arrive late", number, worker.sent[0]),
                    with_worker(after, number, worker._replace(sent=None)),
                )
            if worker.marking is not None:
                marked, epoch = worker.marking
                after = self._moved(world, "deliver", tuple(marked), number, epoch)
                yield (
                    ("{} marks {} delivered, late", number, marked),
                    with_worker(after, number, worker._replace(marking=None)),
                )
        yield from self._read(world)
        for entry in world.given:
            yield ("{} is confirmed", entry), self._confirmed(world, entry)
        if world.postgres != world.durable:
            yield ("the log is flushed",), world._replace(durable=world.postgres)

    def faults(self, world: World) -> Next:
        """What may happen to it."""
        left = world.faults
        if left.crashes and world.postgres != world.durable:
            crashed = world._replace(postgres=world.durable, faults=left._replace(crashes=left.crashes - 1))
            yield ("Postgres crashes",), crashed
        if left.takes:
            taker = 1 - world.postgres.owner
            yield ("{} takes the shard", taker), self._taken(world, taker)
        if left.delays:
            for number in WORKERS:
                worker = world.workers[number]
                if worker.batch and worker.sent is None:
                    late = worker._replace(settled=NONE, batch=(), sent=(worker.batch, worker.settled))
                    after = world._replace(faults=left._replace(delays=left.delays - 1))
                    yield ("{} gives up on {}", number, worker.batch), with_worker(after, number, late)
                if worker.awaited and worker.marking is None:
                    late = worker._replace(
                        settled=NONE, batch=(), awaited=frozenset(), marking=(worker.awaited, worker.settled)
                    )
                    after = world._replace(faults=left._replace(delays=left.delays - 1))
                    yield ("{} gives up on marking {}", number, worker.awaited), with_worker(after, number, late)
        if left.losses and world.redis.holds:
            yield from self._losses(world)
        if left.returns and world.redis.holds:
            yield from self._returns(world)

    def _losses(self, world: World) -> Next:
        redis, left = world.redis, world.faults
        lossy = redis.sentinel if redis.unread else world.lossy
        after = world._replace(faults=left._replace(losses=left.losses - 1), lossy=lossy)
        yield ("FLUSHALL",), after._replace(redis=Redis(NONE, True, (), None))
        yield ("DEL of the global stream",), after._replace(redis=redis._replace(unread=None))

    def _returns(self, world: World) -> Next:
        redis, left, old = world.redis, world.faults, world.copy
        if old is None:
            yield ("Redis keeps a copy",), world._replace(copy=redis)
        elif old != redis:
            faults = left._replace(returns=left.returns - 1)
            after = world._replace(faults=faults, copy=None, lossy=redis.sentinel)
            yield ("Redis restarts with the copy",), after._replace(redis=old._replace(is_named=False))
            is_named = old.sentinel == redis.sentinel and not self._mends.epochs_know_their_history
            yield (
                ("Redis is demoted to the copy and promoted",),
                after._replace(redis=old._replace(is_named=is_named)),
            )

    def _moved(self, world: World, step: Step, events: tuple[int, ...], worker: int, epoch: int) -> World:
        """The rows that the step moves, moved; durable where the table says so."""
        durable, transition = world.durable, self._mends.table[step]
        rows, before = list(world.postgres.rows), world.postgres
        for event in events:
            row = rows[event - 1]
            rows[event - 1] = self._after(step, row, worker, epoch, _is_forgotten(world, event, row))
        postgres = Postgres(tuple(rows), before.owner, before.epoch)
        if transition.durable and (self._mends.settling_flushes or postgres != before):  # a slice, as the marking
            durable = postgres
        return World(postgres, durable, *world[2:])

    def _after(self, step: Step, row: Row, worker: int, epoch: int, forgotten: bool) -> Row:
        """Of few rows, each worked out once."""
        key = (step, row, worker, epoch, forgotten)
        if (after := self._rows.get(key)) is None:
            transition, after = self._mends.table[step], row
            if applies(transition, row, worker=worker, epoch=epoch, forgotten=forgotten):
                holder = worker if transition.target == "processing" else NOBODY
                after = Row(transition.target, holder, epoch if step == "claim" else row.epoch)
            self._rows[key] = after
        return after

    def _notice(self, world: World, number: int, worker: Worker) -> Next:
        if not world.redis.holds or world.redis.sentinel != worker.settled:
            kept = () if self._mends.claimed_ahead_is_dropped else worker.batch
            forgets = worker._replace(settled=NONE, batch=kept, awaited=frozenset())
            yield ("{} sees another epoch", number), with_worker(world, number, forgets)

    def _begin(self, world: World, number: int, worker: Worker) -> Next:
        if world.postgres.owner != number:
            return
        redis = world.redis
        if not redis.holds:
            newest = max(redis.sentinel, world.postgres.epoch, *(each.begun for each in world.workers))
            redis = Redis(newest + 1, True, redis.session, redis.unread or ())
        begun = worker._replace(begun=redis.sentinel)
        yield (
            ("{} begins epoch {}", number, redis.sentinel),
            with_worker(world._replace(redis=redis), number, begun),
        )

    def _settle(self, world: World, number: int, worker: Worker) -> Next:
        if world.postgres.owner != number:
            nothing = worker._replace(begun=NONE, slices=0)
            yield ("{} has nothing to settle", number), with_worker(world, number, nothing)
            return
        if worker.slices < len(self._slices):
            rows = self._slices[worker.slices]
            found = tuple(event for state, event in rows if world.postgres.row(event).state == state)
            after = self._moved(world, "settle", found, number, worker.begun)
            yield (
                ("{} gives back {} for {}", number, found, worker.begun),
                with_worker(after, number, worker._replace(slices=worker.slices + 1)),
            )
            if self._mends.marked_after_all_slices:
                return
        after = _marked(self._moved(world, "settle", (), number, worker.begun), worker.begun)
        kept = () if self._mends.claimed_ahead_is_dropped else worker.batch
        settled = worker._replace(begun=NONE, settled=worker.begun, slices=0, batch=kept, awaited=frozenset())
        yield ("{} settles in {}", number, worker.begun), with_worker(after, number, settled)

    @property
    def _slices(self) -> Sequence[Sequence[tuple[State, int]]]:
        """What each looks at, in a sweep over all rows of a state and then over those of the next."""
        states: tuple[State, ...] = ("processing", "delivered")
        if not self._mends.processing_is_looked_at_first:
            states = states[::-1]
        rows, size = [(state, event) for state in states for event in EVENTS], self._mends.slice_rows
        return [rows[at : at + size] for at in range(0, len(rows), size)]

    def _claim(self, world: World, number: int, worker: Worker) -> Next:
        if worker.batch or world.postgres.owner != number:
            return
        if self._mends.claims_name_the_epoch and world.postgres.epoch != worker.settled:
            forgets = worker._replace(settled=NONE, awaited=frozenset())
            yield ("{} learns of a newer epoch", number), with_worker(world, number, forgets)
            return
        waiting = [event for event in EVENTS if world.postgres.row(event).state == "pending"]
        if waiting:
            batch = tuple(waiting[:BATCH])
            after = self._moved(world, "claim", batch, number, worker.settled)
            yield ("{} claims {}", number, batch), with_worker(after, number, worker._replace(batch=batch))

    def _append(self, world: World, number: int, worker: Worker) -> Next:
        after, is_done = self._appended(world, worker.batch, worker.settled)
        if is_done:
            published = worker._replace(batch=(), awaited=worker.awaited | set(worker.batch))
            yield ("{} publishes {}", number, worker.batch), with_worker(after, number, published)
        else:
            refused = worker._replace(batch=(), settled=NONE)
            yield ("{} is refused, in another epoch", number), with_worker(world, number, refused)

    @staticmethod
    def _appended(world: World, events: tuple[int, ...], epoch: int) -> tuple[World, bool]:
        """As append.lua; False: refused."""
        redis = world.redis
        if not redis.holds or redis.sentinel != epoch:
            return world, False
        session, unread = redis.session, redis.unread or ()
        for event in events:
            if event not in session:
                if session and event < session[-1]:
                    raise Violation(f"{event} is published behind {session}")
                session += (event,)
            # A repetition behind an unread entry changes nothing that the entry doesn't.
            if Published(event, epoch) not in unread:
                unread += (Published(event, epoch),)
        return world._replace(redis=redis._replace(session=session, unread=unread)), True

    def _deliver(self, world: World, number: int, worker: Worker) -> Next:
        after = self._moved(world, "deliver", tuple(worker.awaited), number, worker.settled)
        rest = worker._replace(awaited=frozenset())
        yield ("{} marks {} delivered", number, worker.awaited), with_worker(after, number, rest)

    def _read(self, world: World) -> Next:
        redis = world.redis
        if redis.unread:
            first, *rest = redis.unread
            after = world._replace(redis=redis._replace(unread=tuple(rest)), given=world.given | {first})
            yield ("a consumer is given {}", first), after
        elif redis.unread is None and not self._mends.only_epochs_make_the_stream:
            yield ("a consumer finds no stream and makes it",), world._replace(redis=redis._replace(unread=()))

    def _confirmed(self, world: World, entry: Published) -> World:
        after = self._moved(world, "consume", (entry.event,), NOBODY, entry.epoch)
        for number, worker in enumerate(world.workers):
            if worker.settled == entry.epoch and entry.event in worker.awaited:
                after = with_worker(after, number, worker._replace(awaited=worker.awaited - {entry.event}))
        return World(*after[:5], world.given - {entry}, *after[6:])

    def _taken(self, world: World, taker: int) -> World:
        """The lease ended, whether or not the owner knows; what it left is rescued before anything is claimed.

        What the owner was about to append may still arrive; nothing else of its doing finds anything any more.
        """
        left = world.faults._replace(takes=world.faults.takes - 1)
        owner = world.workers[world.postgres.owner]
        sent = (owner.batch, owner.settled) if owner.batch else owner.sent
        settled = owner.settled if left.takes else NONE
        late = Worker(settled=settled, sent=sent, marking=owner.marking)
        after = with_worker(world, world.postgres.owner, late)
        after = after._replace(postgres=world.postgres._replace(owner=taker), faults=left)
        return self._rescued(after, taker, world.workers[taker].settled)

    def _rescued(self, world: World, number: int, epoch: int) -> World:
        """While no epoch is known, only what is in processing."""
        known = tuple(event for event in EVENTS if epoch or world.postgres.row(event).state == "processing")
        return _marked(self._moved(world, "rescue", known, number, epoch), epoch)

    def _heal(self, world: World, number: int, worker: Worker) -> Next:
        """What heartbeat and maintenance find: strays, and delivered events whose entries are gone."""
        if world.postgres.owner != number:
            return
        rescued = self._rescued(world, number, worker.settled)
        if rescued.postgres != world.postgres:
            yield ("{} rescues", number), rescued
        if world.redis.unread == () and not world.given:
            overdue = self._moved(world, "overdue", EVENTS, number, worker.settled)
            if overdue.postgres != world.postgres:
                yield ("{} finds delivered events overdue", number), overdue


def _is_forgotten(world: World, event: int, row: Row) -> bool:
    """Postgres lost its last commits, and has the row in the hands of a worker that is done with it."""
    if row.holder == NOBODY:
        return False
    holder = world.workers[row.holder]
    return event not in holder.batch and event not in holder.awaited


def _marked(world: World, epoch: int) -> World:
    """The shard is settled in `epoch`, and never again in an older one; as durable as what came with it."""
    if epoch <= world.postgres.epoch:
        return world
    marked = world.postgres._replace(epoch=epoch)
    durable = marked if world.durable == world.postgres else world.durable
    return world._replace(postgres=marked, durable=durable, owed=marked.unconsumed())
