from __future__ import annotations

import asyncio
from datetime import date

from uniassist.release.watch.triggers.judge import Judge
from uniassist.release.watch.triggers.rates import RateTrigger
from uniassist.release.watch.triggers.samples import Attempt, Cadence, OutboxMetrics, Probe, Round
from uniassist.release.watch.triggers.thresholds import Threshold
from uniassist.release.watch.watching import Watching

AGREED = Threshold(
    per_minute=1.0, window_seconds=300.0, agreed_by="us", agreed_on=date(2026, 11, 24), reason="a test"
)


class LosesCancellation:
    """As redis-py does before Python 3.12: the attempt under way answers, and the cancellation is gone."""

    async def attempt(self, dependency: str) -> Attempt:
        if dependency == "redis":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return Attempt(self._now(), True)
        return Attempt(self._now(), True)

    async def probe(self, _service: str) -> Probe:
        return Probe(self._now(), "ok")

    async def round(self) -> Round:
        return Round(self._now(), self._now(), "ok")

    async def metrics(self) -> OutboxMetrics | None:
        return OutboxMetrics(self._now(), 0, 0)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def test_a_watch_ends_in_time_also_when_a_client_loses_the_cancellation() -> None:
    rates = [RateTrigger(name, AGREED, 0.0) for name in ("dead_letter", "retry")]
    began = asyncio.get_running_loop().time()
    judge = Judge(["gateway"], Cadence(), began, dead_letters=rates[0], attempts=rates[1])
    watching = Watching(LosesCancellation(), judge, Cadence(), say=lambda _notice: None)
    async with asyncio.timeout(20):
        ended = await watching.run(0.05)
    assert ended.trigger is None
