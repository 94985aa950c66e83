"""Nothing is kept for ever: sessions that nobody has used for long go, and what is old of the others."""

from __future__ import annotations

import structlog

from uniassist.lifecycle import Loop
from uniassist.store import retention
from uniassist.store.server.pool import Pool

log = structlog.get_logger()

SLICE_PAUSE_SECONDS = 0.5
ROUND_PAUSE_SECONDS = 3600.0
_NEVER_DAYS = 36_500


class Retention:
    """Walks the sessions, a slice at a time; several workers do no harm.

    days: how long a session is kept after its last activity; timeline_days: an event of one that is in use; 0: for
    ever.
    """

    def __init__(self, pool: Pool, *, days: int, timeline_days: int) -> None:
        self._pool = pool
        self._days = days
        self._timeline_days = timeline_days
        self._page = 0
        self.loop = Loop("retention", self.run_once)

    async def run_once(self) -> float:
        contexts = await retention.forget_contexts(self._pool)
        if self._timeline_days and await self._trim():
            return SLICE_PAUSE_SECONDS
        # Walks on through the sessions, also where none is ever to be deleted.
        forgotten = await retention.forget_sessions(self._pool, page=self._page, days=self._days or _NEVER_DAYS)
        if forgotten.deleted:
            log.info("sessions deleted", count=forgotten.deleted, idle_days=self._days)
        self._page = forgotten.next_page or 0
        if forgotten.next_page is not None:
            return SLICE_PAUSE_SECONDS
        return SLICE_PAUSE_SECONDS if contexts == retention.SLICE else ROUND_PAUSE_SECONDS

    async def _trim(self) -> bool:
        """Whether the slice has more to go."""
        trimmed = await retention.trim_timelines(self._pool, page=self._page, days=self._timeline_days)
        if trimmed.events or trimmed.runs:
            log.info("timelines trimmed", events=trimmed.events, runs=trimmed.runs, days=self._timeline_days)
        return trimmed.more
