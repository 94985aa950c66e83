"""Which sessions are this worker's: shards of their hash space, leased, kept alive by a beat each second.

One statement renews the lease, takes free shards up to a fair share, and says whether anything waits, so that an
idle worker asks Postgres about once a second. Before a shard just taken counts as held, what its former owner left
in it is rescued. What a worker does between two beats is right only while its lease holds; `may_publish` says so by
the worker's own clock, with a margin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

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
    """`on_beat` hears each beat. `surplus`: shards to give away, now that another worker has come."""

    def __init__(self, pool: Pool, figures: Figures, *, worker: str, beat_seconds: float) -> None:
        self._pool = pool
        self._figures = figures
        self._worker = worker
        self._beat_seconds = min(beat_seconds, LEASE_SECONDS / 4)
        self._taking = True
        self.held: dict[int, int] = {}  # shard → token
        self.surplus: list[int] = []
        self._just_given: set[int] = set()
        self.paused = False
        self.epoch: str | None = None
        self._good_until = 0.0
        self.answered = asyncio.Event()
        self.on_beat: Callable[[Beat], None] = lambda _beat: None
        self.loop = Loop("beat", self._beat_once)

    @property
    def may_publish(self) -> bool:
        return bool(self.held) and not self.paused and time.monotonic() < self._good_until

    def stop_taking(self) -> None:
        self._taking = False

    def gave(self, shards: list[int] | None) -> None:
        """They are another worker's from now on; None: all."""
        given = set(self.held if shards is None else shards)
        self.held = {shard: token for shard, token in self.held.items() if shard not in given}
        self.surplus = []
        self._just_given |= given  # a beat under way may have seen them as kept

    def fenced(self, tokens: Mapping[int, int]) -> None:
        """New tokens; those that a beat under way brings may be older."""
        self.held = {shard: max(token, tokens.get(shard, 0)) for shard, token in self.held.items()}

    async def _beat_once(self) -> float:
        began = time.monotonic()
        self._just_given.clear()
        beat = await store.beat(
            self._pool,
            self._worker,
            lease_seconds=LEASE_SECONDS,
            epoch=self.epoch,
            take=self._taking,
            per_second=self._figures.consumption.per_second(),
        )
        self.answered.set()
        if beat.taken or beat.strays:
            await self._rescue(beat)
        self._good_until = began + LEASE_SECONDS - MARGIN_SECONDS
        self._note(beat)
        self.on_beat(beat)
        return self._beat_seconds

    async def _rescue(self, beat: Beat) -> None:
        """Again when the relay settled in another epoch meanwhile, which may not have seen the taken ones."""
        known = object()
        while known != self.epoch:  # ends: an epoch lasts longer than a statement
            known = self.epoch
            found = await store.rescue(self._pool, self._worker, beat.kept | beat.taken, epoch=self.epoch)
            self._figures.rescued.inc(found.rescued)
            self._figures.republished.inc(found.republished)
            if found.rescued or found.republished:
                log.info("rescued events", of_workers_gone=found.rescued, of_another_epoch=found.republished)

    def _note(self, beat: Beat) -> None:
        lost = self.held.keys() - beat.kept.keys()
        if lost:
            self._figures.leases_lost.inc(len(lost))
            log.warning(
                "lease lost", shards=sorted(lost), hint="this worker was stopped, or Postgres away, too long"
            )
        if beat.taken:
            log.info("took shards", taken=len(beat.taken), held=len(beat.kept) + len(beat.taken))
        if beat.paused != self.paused:
            log.warning("delivery paused" if beat.paused else "delivery resumed")
        self.paused = beat.paused
        known = self.held
        self.held = {
            shard: max(token, known.get(shard, 0))
            for shard, token in (beat.kept | beat.taken).items()
            if shard not in self._just_given
        }
        self.surplus = fair_surplus(sorted(self.held), others=beat.others)
        self._figures.shards.set(len(self.held))
        self._figures.paused.set(beat.paused)


def fair_surplus(held: list[int], *, others: int) -> list[int]:
    """The shards above this worker's share: the last ones, so that all give away different ones or the same."""
    share = -(-SHARDS // (1 + others))
    return sorted(held)[share:]
