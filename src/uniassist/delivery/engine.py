"""The engine, put together: started and stopped in the order that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from functools import partial

import structlog

from uniassist.delivery.completions import Completions
from uniassist.delivery.consumer import Consumer
from uniassist.delivery.envelope import Keys
from uniassist.delivery.failures import Backoff, Failures
from uniassist.delivery.giving_back import GivingBack
from uniassist.delivery.maintenance import Maintenance
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.delivery.relay import Relay
from uniassist.delivery.shard_leases import ShardLeases
from uniassist.delivery.stream_owner import StreamOwner
from uniassist.errors import ServerFault, StartError
from uniassist.lifecycle import Loop, Proof
from uniassist.store.delivery import Heartbeat
from uniassist.store.server import proof as store_proof
from uniassist.store.server.pool import Pool
from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender
from uniassist.streams.client import Redis
from uniassist.streams.epoch import StreamTaken
from uniassist.streams.group import WECHAT_GROUP, Group
from uniassist.streams.lane_clients import prove_lane
from uniassist.streams.lanes import Lane, Layout
from uniassist.streams.trimming import HoldLimits, Trimming
from uniassist.streams.wake import Listener, moved_in, moved_prefix
from uniassist.tracing import NO_SPANS, Spans

log = structlog.get_logger()

PROBE_SECONDS = 1.0
# A heartbeat or probe older than this means that the server behind it doesn't answer.
SILENT_SECONDS = 3.0
FAILURES_NOTED = 3
SESSION_STREAM_LENGTH = 1000


@dataclass(frozen=True)
class EngineSettings:
    """`session_hours`: of a session's stream after its last event.

    prunes: whether this engine deletes rows that are over; one of a worker's does.
    """

    layout: Layout
    lane: Lane
    group: str
    consumer: str
    block_ms: int
    read_count: int
    session_hours: int
    poll_ms: int
    batch_size: int
    backoff: Backoff
    retention_hours: int
    hold_limits: HoldLimits
    prunes: bool = True


class Engine:
    """Delivers what is in one lane's shards.

    `worker` is unique to this incarnation of the process; the consumer's name is stable over restarts.
    `reader` is a Redis client of its own for blocking reads, with a socket timeout above the block time.
    """

    def __init__(
        self,
        pool: Pool,
        redis: Redis,
        reader: Redis,
        settings: EngineSettings,
        *,
        worker: str,
        spans: Spans = NO_SPANS,
        metrics: DeliveryMetrics | None = None,
    ) -> None:
        lane = self.lane = settings.lane
        worker = f"{worker}{lane.mark}"
        self._redis = redis
        self._layout = settings.layout
        self._probed_at = self._heartbeat_at = float("-inf")
        self._probed = asyncio.Event()
        self._stopping = False
        self._postgres_writes = Proof(partial(store_proof.prove_writing, pool, "outbox_events"), self._wake_all)
        self._redis_writes = Proof(partial(prove_lane, redis, lane), self._wake_all)
        self.metrics = metrics = metrics or DeliveryMetrics()
        keys = Keys(settings.layout, lane)
        group = Group(redis, key=lane.global_key, name=settings.group, consumer=settings.consumer)
        reading = Group(reader, key=lane.global_key, name=settings.group, consumer=settings.consumer)
        appender = Appender(
            redis,
            global_key=lane.global_key,
            moved_prefix=moved_prefix(settings.layout.prefix),
            session_length=SESSION_STREAM_LENGTH,
            session_expiry_seconds=settings.session_hours * 3600,
        )
        failures = Failures(pool, metrics, worker=worker, backoff=settings.backoff)
        giving_back = GivingBack(pool, failures, worker=worker)
        self._completions = Completions(
            pool, group, failures, metrics, worker=worker, bound=settings.batch_size * 10, spans=spans
        )
        self._owner = StreamOwner(pool, redis, global_key=lane.global_key)
        self._consumer = Consumer(
            reading, self._completions, self._owner, metrics, count=settings.read_count, block_ms=settings.block_ms
        )
        self._leases = ShardLeases(
            pool,
            giving_back,
            metrics,
            worker=worker,
            heartbeat_seconds=settings.poll_ms / 1000,
            among=lane.shards,
            mark=lane.mark,
        )
        self._relay = Relay(
            pool,
            redis,
            appender,
            self._completions,
            self._consumer,
            self._leases,
            self._owner,
            failures,
            giving_back,
            metrics,
            worker=worker,
            keys=keys,
            batch_size=settings.batch_size,
            spans=spans,
        )
        self._leases.on_heartbeat = self._saw_heartbeat
        self._leases.on_unsettled = self._relay.settle_anew
        trimming = Trimming(
            redis, lane.global_key, group=settings.group, ours=(WECHAT_GROUP,), limits=settings.hold_limits
        )
        self._maintenance = Maintenance(
            pool,
            group,
            trimming,
            self._owner,
            giving_back,
            metrics,
            retention_hours=settings.retention_hours if settings.prunes else 0,
        )
        self._listener = Listener(redis, settings.layout.prefix, self._heard)
        self._probe = Loop("probe", self._probe_once)
        self._consumer.on_stream_gone = self._probe.wake
        self._listening = Loop("wake", self._listener.listen_once)
        self._loops = (
            self._probe,
            self._owner.loop,
            self._leases.loop,
            self._completions.loop,
            self._consumer.loop,
            self._consumer.claiming,
            self._listening,
            self._relay.loop,
            *self._maintenance.loops,
        )

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    async def refuse_taken_stream(self, deadline_seconds: float) -> None:
        """StartError when the stream is another database's. Servers that don't answer are waited for later."""
        with contextlib.suppress(TimeoutError, ServerFault):
            async with asyncio.timeout(deadline_seconds):
                await self._owner.database()
                await self._owner.look()
        try:
            self._owner.check_ours()
        except StreamTaken as taken:
            raise StartError(str(taken)) from None

    async def first_look(self, deadline_seconds: float) -> None:
        """Until both servers have answered once, so that health begins with the truth, or the deadline."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await asyncio.gather(self._leases.answered.wait(), self._probed.wait())

    async def stop(self, deadline_seconds: float) -> None:
        """Stop claiming, let what is under way be confirmed, give the leases back."""
        self._stopping = True
        self._leases.stop_taking()
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._relay.loop.stop(deadline_seconds / 2)
                await self._relay.give_away(None)
        except Exception as error:  # its lease expires anyway
            log.warning("leases not given back", error=repr(error))
        rest = (
            *self._maintenance.loops,
            self._consumer.loop,
            self._consumer.claiming,
            self._completions.loop,
            self._leases.loop,
            self._owner.loop,
            self._probe,
        )
        # What is hinted concerns nobody here any more: no wait for what Redis may say.
        await asyncio.gather(self._listening.stop(0), *(loop.stop(0.5) for loop in rest))
        await self._listener.close()

    async def check_postgres(self) -> None:
        await self._postgres_writes()
        _check_recent(self._heartbeat_at, "Postgres", self._leases.loop)

    async def check_redis(self) -> None:
        await self._redis_writes()
        _check_recent(self._probed_at, f"Redis ({self.lane.name})" if self.lane.name else "Redis", self._probe)

    async def check_delivery(self) -> None:
        """Both servers may take a small write and yet not ours: a slot half moved, a stream of the wrong type."""
        self._owner.check_ours()
        failing = max((self._relay.loop, self._completions.loop), key=lambda loop: loop.failures_in_a_row)
        if failing.failures_in_a_row >= FAILURES_NOTED:
            times = f"{failing.failures_in_a_row} times in a row"
            where = f" in {self.lane.name}" if self.lane.name else ""
            raise RuntimeError(f"nothing could be delivered{where}, {times}: {failing.last_failure}")
        self._leases.check_held()

    async def check_alone(self) -> None:
        """Another system that wants this one's streams gets none, and so delivers nothing."""
        self._owner.check_alone()

    async def check_loops(self) -> None:
        dead = [loop.name for loop in self._loops if not loop.alive]
        if dead and not self._stopping:
            raise RuntimeError(f"loops ended: {', '.join(dead)}")

    def _saw_heartbeat(self, found: Heartbeat) -> None:
        if _is_silent(self._heartbeat_at):
            self._wake_all()
        self._heartbeat_at = time.monotonic()
        self._relay.saw_heartbeat(found)
        if found.taken or found.dead:
            self._consumer.expect_left()

    def _heard(self, hint: bytes | None) -> None:
        """A hint that names sessions of other lanes only is none for this one."""
        moved = moved_in(hint) if hint is not None and self._layout.count is not None else {}
        if not moved or self.lane in self._layout.by_lane(moved):
            self._relay.loop.wake()

    async def _probe_once(self) -> float:
        async with asyncio.timeout(2.0):
            found = await epochs.read(self._redis, self.lane.global_key)
        was_silent = _is_silent(self._probed_at)
        self._probed_at = time.monotonic()
        self._probed.set()
        self._relay.saw_epoch(found)
        await self._owner.saw_epoch(found)
        if was_silent:
            self._wake_all()
        return PROBE_SECONDS

    def _wake_all(self) -> None:
        """A server is back: nobody sits out the pause that its absence had earned."""
        for loop in self._loops:
            loop.wake()


def _is_silent(at: float) -> bool:
    return time.monotonic() - at > SILENT_SECONDS


def _check_recent(at: float, what: str, asking: Loop) -> None:
    """Raises when the server is silent, and has it asked again now, however long the loop meant to wait."""
    if _is_silent(at):
        asking.wake()
        raise ConnectionError(f"{what} has not answered for more than {SILENT_SECONDS:.0f} s")
