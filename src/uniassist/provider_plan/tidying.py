"""Nothing is kept for ever: plans that are over and unused, deleted ones, answers, forms, links."""

from __future__ import annotations

import datetime as dt

from uniassist.lifecycle import Loop
from uniassist.store import plans as store
from uniassist.store.server.pool import Pool

ROUND_SECONDS = 600.0
KEPT = dt.timedelta(days=1)  # deleted plans, and answers: nobody asks again later
DRAFTS_KEPT = dt.timedelta(days=90)


class Tidying:
    """`loop` deletes a slice at a time; several processes do no harm. `days`: after a plan's end and last use."""

    def __init__(self, pool: Pool, *, days: int) -> None:
        self._pool = pool
        self._days = days
        self.loop = Loop("tidying", self.run_once)

    async def run_once(self) -> float:
        has_more = await store.forget(self._pool, days=self._days, kept=KEPT, drafts_kept=DRAFTS_KEPT)
        return 0.5 if has_more else ROUND_SECONDS
