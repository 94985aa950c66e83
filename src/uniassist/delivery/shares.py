"""Which sessions are this worker's: shards of their hash space, leased, kept alive by a beat each second.

One statement renews the lease, takes free shards up to a fair share, rescues what dead owners left in them, and
says whether anything waits, so that an idle worker asks Postgres about once a second. What a worker does between
two beats is right only while its lease holds; `may_publish` says so by the worker's own clock, with a margin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from uniassist.delivery.figures import Figures
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.delivery import Beat
from uniassist.store.pool import Pool

log = structlog.get_logger()

SHARDS = 32
LEASE_SECONDS = 4.0
MARGIN_SECONDS = 1.0


class Shares:
    """`on_beat` hears each beat; `on_surplus` gives shards away when another worker has come."""

    def __init__(self, pool: Pool, figures: Figures, *, worker: str, beat_seconds: float) -> None:
        self._pool = pool
        self._figures = figures
        self._worker = worker
        self._beat_seconds = min(beat_seconds, LEASE_SECONDS / 4)
        self._taking = True
        self.held: frozenset[int] = frozenset()
        self.paused = False
        self.epoch: str | None = None
        self._good_until = 0.0
        self.beat_at = float("-inf")
        self.answered = asyncio.Event()
        self.on_beat: Callable[[Beat], None] = lambda _beat: None
        self.on_surplus: Callable[[list[int]], Awaitable[None]] | None = None
        self.loop = Loop("beat", self._beat_once)

    @property
    def may_publish(self) -> bool:
        return bool(self.held) and not self.paused and time.monotonic() < self._good_until

    def stop_taking(self) -> None:
        self._taking = False

    async def _beat_once(self) -> float:
        began = time.monotonic()
        beat = await store.beat(
            self._pool, self._worker, lease_seconds=LEASE_SECONDS, epoch=self.epoch, take=self._taking
        )
        self.beat_at = time.monotonic()
        self.answered.set()
        self._good_until = began + LEASE_SECONDS - MARGIN_SECONDS
        self._note(beat)
        surplus = fair_surplus(beat.kept, others=beat.others)
        if surplus and self.on_surplus is not None:
            await self.on_surplus(surplus)
            self.held -= set(surplus)
        self.on_beat(beat)
        return self._beat_seconds

    def _note(self, beat: Beat) -> None:
        lost = self.held - set(beat.kept)
        if lost:
            self._figures.leases_lost.inc(len(lost))
            log.warning(
                "lease lost", shards=sorted(lost), hint="this worker was stopped, or Postgres away, too long"
            )
        if beat.rescued or beat.republished:
            self._figures.rescued.inc(beat.rescued)
            self._figures.republished.inc(beat.republished)
            log.info("rescued events of a worker that is gone", events=beat.rescued + beat.republished)
        if beat.taken:
            log.info("took shards", taken=len(beat.taken), held=len(beat.kept) + len(beat.taken))
        if beat.paused != self.paused:
            log.warning("delivery paused" if beat.paused else "delivery resumed")
        self.paused = beat.paused
        self.held = frozenset(beat.kept) | frozenset(beat.taken)
        self._figures.shards.set(len(self.held))
        self._figures.paused.set(beat.paused)


def fair_surplus(held: list[int], *, others: int) -> list[int]:
    """The shards above this worker's share: the last ones, so that all give away different ones or the same."""
    share = -(-SHARDS // (1 + others))
    return sorted(held)[share:]
