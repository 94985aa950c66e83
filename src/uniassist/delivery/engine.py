"""The engine, put together: started and stopped in the order that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from uniassist.delivery.completions import Completions
from uniassist.delivery.consumer import Consumer
from uniassist.delivery.envelope import Keys
from uniassist.delivery.figures import Figures
from uniassist.delivery.relay import Backoff, Relay
from uniassist.delivery.shares import Shares
from uniassist.delivery.upkeep import Upkeep
from uniassist.lifecycle import Loop
from uniassist.store.delivery import Beat
from uniassist.store.pool import Pool
from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender
from uniassist.streams.group import Group
from uniassist.streams.wake import Listener
from uniassist.tracing import NO_SPANS, Spans

log = structlog.get_logger()

PROBE_SECONDS = 1.0
# A beat or probe older than this means that the server behind it doesn't answer.
SILENT_SECONDS = 3.0
FAILURES_NOTED = 3
SESSION_STREAM_LENGTH = 1000
SESSION_STREAM_EXPIRY_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class EngineSettings:
    prefix: str
    global_key: str
    group: str
    consumer: str
    block_ms: int
    read_count: int
    poll_ms: int
    batch_size: int
    backoff: Backoff
    retention_hours: int


class Engine:
    """`worker` is unique to this incarnation of the process; the consumer's name is stable over restarts.

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
    ) -> None:
        self._redis = redis
        self._global_key = settings.global_key
        self._probed_at = self._beaten_at = float("-inf")
        self._probed = asyncio.Event()
        self._stopping = False
        self.figures = figures = Figures()
        keys = Keys(settings.prefix, settings.global_key)
        group = Group(redis, key=settings.global_key, name=settings.group, consumer=settings.consumer)
        reading = Group(reader, key=settings.global_key, name=settings.group, consumer=settings.consumer)
        appender = Appender(
            redis,
            global_key=settings.global_key,
            session_length=SESSION_STREAM_LENGTH,
            session_expiry_seconds=SESSION_STREAM_EXPIRY_SECONDS,
        )
        self._completions = Completions(
            pool, group, figures, worker=worker, bound=settings.batch_size * 10, spans=spans
        )
        self._consumer = Consumer(
            reading, self._completions, figures, count=settings.read_count, block_ms=settings.block_ms
        )
        self._shares = Shares(pool, figures, worker=worker, beat_seconds=settings.poll_ms / 1000)
        self._relay = Relay(
            pool,
            redis,
            appender,
            self._completions,
            self._consumer,
            self._shares,
            figures,
            worker=worker,
            keys=keys,
            batch_size=settings.batch_size,
            backoff=settings.backoff,
            spans=spans,
        )
        self._shares.on_beat = self._saw_beat
        self._upkeep = Upkeep(pool, group, figures, worker=worker, retention_hours=settings.retention_hours)
        self._listener = Listener(redis, settings.prefix, lambda _hint: self._relay.loop.wake())
        self._probe = Loop("probe", self._probe_once)
        self._listening = Loop("wake", self._listener.listen_once)
        self._loops = (
            self._probe,
            self._shares.loop,
            self._completions.loop,
            self._consumer.loop,
            self._consumer.claiming,
            self._listening,
            self._relay.loop,
            *self._upkeep.loops,
        )

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    async def first_look(self, deadline_seconds: float) -> None:
        """Until both servers have answered once, so that health begins with the truth, or the deadline."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await asyncio.gather(self._shares.answered.wait(), self._probed.wait())

    async def stop(self, deadline_seconds: float) -> None:
        """Stop claiming, let what is under way be confirmed, give the leases back."""
        self._stopping = True
        self._shares.stop_taking()
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._relay.loop.stop(deadline_seconds / 2)
                await self._relay.give_away(None)
        except Exception as error:  # its lease expires anyway
            log.warning("leases not given back", error=repr(error))
        rest = (
            self._listening,
            *self._upkeep.loops,
            self._consumer.loop,
            self._consumer.claiming,
            self._completions.loop,
            self._shares.loop,
            self._probe,
        )
        await asyncio.gather(*(loop.stop(0.5) for loop in rest))
        await self._listener.close()

    async def check_postgres(self) -> None:
        _check_recent(self._beaten_at, "Postgres", self._shares.loop)

    async def check_redis(self) -> None:
        _check_recent(self._probed_at, "Redis", self._probe)

    async def check_delivery(self) -> None:
        """Both servers may answer and yet take no writes: a full Redis, a read-only replica, a Cluster."""
        failures = max(loop.failures_in_a_row for loop in (self._relay.loop, self._completions.loop))
        if failures >= FAILURES_NOTED:
            raise RuntimeError(f"nothing could be delivered, {failures} times in a row")

    async def check_loops(self) -> None:
        dead = [loop.name for loop in self._loops if not loop.alive]
        if dead and not self._stopping:
            raise RuntimeError(f"loops ended: {', '.join(dead)}")

    def _saw_beat(self, beat: Beat) -> None:
        if _is_silent(self._beaten_at):
            self._wake_all()
        self._beaten_at = time.monotonic()
        self._relay.saw_beat(beat)

    async def _probe_once(self) -> float:
        async with asyncio.timeout(2.0):
            found = await epochs.read(self._redis, self._global_key)
        was_silent = _is_silent(self._probed_at)
        self._probed_at = time.monotonic()
        self._probed.set()
        self._relay.saw_epoch(found)
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
