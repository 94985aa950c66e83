"""Which sessions are this worker's: shards of their hash space, leased, kept alive by a heartbeat each second.

One statement renews the lease, takes free shards up to a fair share, and says whether anything waits, so that an
idle worker asks Postgres about once a second. Before a shard just taken counts as held, what its former owner left
in it is rescued; where that is much, a part of it between any two heartbeats, so that no lease ends meanwhile. What
a worker does between two heartbeats is right only while its lease holds; `may_publish` says so by this process's
clock, with a margin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

import structlog

from uniassist.delivery.giving_back import GivingBack, Sweep
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.lifecycle import Loop
from uniassist.store import delivery as store
from uniassist.store.delivery import ALL_SHARDS, SHARDS, Heartbeat
from uniassist.store.server.pool import Pool

log = structlog.get_logger()

LEASE_SECONDS = 4.0
MARGIN_SECONDS = 1.0
# Between two heartbeats.
RESCUE_SECONDS = 1.0
# A dead worker's shards are free after a lease, and taken with the next heartbeat.
UNHELD_SECONDS = 2 * LEASE_SECONDS


class ShardLeases:
    """`on_heartbeat` hears each heartbeat, `on_unsettled` that others have settled shards in an epoch unknown here.

    `surplus`: shards to give away, now that another worker has come. `set_back`: as `Heartbeat` has it.
    among, mark: as `store.delivery.heartbeat` has them.
    """

    def __init__(
        self,
        pool: Pool,
        giving_back: GivingBack,
        metrics: DeliveryMetrics,
        *,
        worker: str,
        heartbeat_seconds: float,
        among: Collection[int] = ALL_SHARDS,
        mark: str = "",
    ) -> None:
        self._pool = pool
        self.among = among
        self._mark = mark
        self._giving_back = giving_back
        self._metrics = metrics
        self._worker = worker
        self._heartbeat_seconds = min(heartbeat_seconds, LEASE_SECONDS / 4)
        self._taking = True
        self.held: dict[int, int] = {}  # shard → token
        # Shards taken and not rescued yet, which count as nobody's here; and the sweep over all that are owned.
        self._unrescued: set[int] = set()
        self._rescue: Sweep | None = None
        self.surplus: list[int] = []
        self._just_given: set[int] = set()
        self.paused = False
        self.set_back = False
        self.epoch: str | None = None
        self._good_until = 0.0
        self._unheld_since: dict[int, float] = {}
        self.answered = asyncio.Event()
        self.on_unsettled: Callable[[], None] = lambda: None
        self.on_heartbeat: Callable[[Heartbeat], None] = lambda _found: None
        self.loop = Loop("heartbeat", self._heartbeat_once)

    @property
    def may_publish(self) -> bool:
        return bool(self.held) and not self.paused and time.monotonic() < self._good_until

    def check_held(self) -> None:
        """RuntimeError when events wait in shards that nobody has had for longer than a change of hands takes."""
        long_ago = time.monotonic() - UNHELD_SECONDS
        unheld = [str(shard) for shard, since in self._unheld_since.items() if since < long_ago]
        if unheld:
            raise RuntimeError(f"events wait, and no worker holds their shards: {', '.join(unheld)} of {SHARDS}")

    def stop_taking(self) -> None:
        self._taking = False

    def gave(self, shards: list[int] | None) -> None:
        """They are another worker's from now on; None: all."""
        given = set(self.held if shards is None else shards)
        self.held = {shard: token for shard, token in self.held.items() if shard not in given}
        self.surplus = []
        self._just_given |= given  # a heartbeat under way may have seen them as kept

    def fenced(self, tokens: Mapping[int, int]) -> None:
        """New tokens; those that a heartbeat under way brings may be older."""
        self.held = {shard: max(token, tokens.get(shard, 0)) for shard, token in self.held.items()}

    async def _heartbeat_once(self) -> float:
        began, epoch = time.monotonic(), self.epoch
        self._just_given.clear()
        found = await store.heartbeat(
            self._pool,
            self._worker,
            lease_seconds=LEASE_SECONDS,
            epoch=epoch,
            take=self._taking,
            per_second=self._metrics.consumption.per_second(),
            among=self.among,
            mark=self._mark,
        )
        self._unrescued = (self._unrescued & found.kept.keys()) | found.taken.keys()
        if found.taken:
            self._end_rescue()  # the one under way has not seen them
        if self._unrescued or found.strays or self._rescue is not None:
            await self._rescue_some(found.kept.keys() | found.taken.keys())
        self._good_until = began + LEASE_SECONDS - MARGIN_SECONDS
        self._note(found)
        if found.unsettled and epoch == self.epoch and not self._unrescued:
            log.warning("shards are settled in an epoch that this worker doesn't know", known=epoch)
            self.on_unsettled()
        self.on_heartbeat(found)
        self.answered.set()
        return 0.0 if self._rescue is not None else self._heartbeat_seconds

    async def _rescue_some(self, owned: Collection[int]) -> None:
        """Of what was left in them, as much as fits between two heartbeats."""
        until = time.monotonic() + RESCUE_SECONDS
        while time.monotonic() < until:
            if self._rescue is not None and self._rescue.epoch != self.epoch:
                self._end_rescue()  # the relay settled in another epoch meanwhile, without the shards just taken
            sweep = self._rescue = self._rescue or self._giving_back.sweep("rescue", owned, epoch=self.epoch)
            if await sweep.step() and sweep.epoch == self.epoch:
                self._end_rescue()
                self._unrescued.clear()
                return

    def _end_rescue(self) -> None:
        """At its end, or because another one begins."""
        sweep, self._rescue = self._rescue, None
        if sweep is None or not (sweep.of_workers_gone or sweep.of_another_epoch):
            return
        self._metrics.rescued.inc(sweep.of_workers_gone)
        self._metrics.republished.inc(sweep.of_another_epoch)
        log.info("rescued events", of_workers_gone=sweep.of_workers_gone, of_another_epoch=sweep.of_another_epoch)

    def _note(self, found: Heartbeat) -> None:
        lost = self.held.keys() - found.kept.keys()
        if lost:
            self._metrics.leases_lost.inc(len(lost))
            log.warning(
                "lease lost", shards=sorted(lost), hint="this worker was stopped, or Postgres away, too long"
            )
        if found.dead:
            log.warning("workers are gone: their sessions ended", workers=found.dead)
        if found.taken:
            log.info("took shards", taken=len(found.taken), held=len(found.kept) + len(found.taken))
        if found.paused != self.paused:
            log.warning("delivery paused" if found.paused else "delivery resumed")
        self.paused = found.paused
        self.set_back = found.set_back
        now = time.monotonic()
        self._unheld_since = {shard: self._unheld_since.get(shard, now) for shard in found.unheld}
        known = self.held
        self.held = {
            shard: max(token, known.get(shard, 0))
            for shard, token in (found.kept | found.taken).items()
            if shard not in self._just_given and shard not in self._unrescued
        }
        self.surplus = fair_surplus(sorted(self.held), len(self.among), others=found.others)
        self._metrics.shards.set(len(self.held))
        self._metrics.paused.set(found.paused)


def fair_surplus(held: list[int], of: int = SHARDS, *, others: int) -> list[int]:
    """The shards above this worker's share: the last ones, so that all give away different ones or the same."""
    share = -(-of // (1 + others))
    return sorted(held)[share:]
