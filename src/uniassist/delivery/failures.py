"""What an event at fault costs: an attempt, and after the last one it is a dead letter with its reason.

Writing that down can't fail for the event's sake. What Postgres refuses to write of it (an index that its session's
id doesn't fit into) is left out step by step, down to a bare dead letter.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from uniassist.delivery.isolation import is_of_a_row, one_by_one_if_need_be, reason_of
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.delivery.retry import backoff_ms
from uniassist.store import delivery as store
from uniassist.store import settling
from uniassist.store.delivery import Failure
from uniassist.store.server.pool import Pool
from uniassist.store.settling import Shards, Why

log = structlog.get_logger()

UNSPEAKABLE = "failed, and so did writing down why"
_REFUSED: Mapping[Why, str] = {
    "settle": "giving it back",
    "rescue": "giving it back",
    "overdue": "giving it back",
    "claim": "claiming",
}


@dataclass(frozen=True)
class Backoff:
    base_ms: int
    max_ms: int


class Failures:
    """The one writer of `failed` and `dead_letter` in a process."""

    def __init__(self, pool: Pool, metrics: DeliveryMetrics, *, worker: str, backoff: Backoff) -> None:
        self._pool = pool
        self._metrics = metrics
        self._worker = worker
        self._backoff = backoff

    def of(self, row_id: int, reason: object, *, attempts: int, epoch: str | None = None) -> Failure:
        """`attempts` that it had before; `epoch`: of a row on the streams, the one it was published in."""
        return Failure(row_id, reason_of(reason), self._delay_ms(attempts), epoch)

    async def write(self, failures: Sequence[Failure]) -> None:
        """Raises outages only."""

        async def fail(part: Sequence[Failure]) -> None:
            for record in await store.fail(self._pool, self._worker, part):
                self._metrics.attempts_failed.inc()
                if record["status"] == "dead_letter":
                    self._note_dead_letter(record["event_id"], record["attempts"])

        _, refused = await one_by_one_if_need_be(failures, fail)
        for failure, error in refused:
            await self._bury(failure, error)

    async def give_up(self, of: Shards, why: Why, row_id: int, error: Exception) -> bool:
        """A row that nobody holds and that refuses to be moved. False: it takes no write at all.

        How many attempts it had isn't known here: it waits for the first pause each time.
        """
        reason = reason_of(f"{_REFUSED[why]}: {reason_of(error)}")
        for said, for_good in ((reason, False), (reason, True), (UNSPEAKABLE, True)):
            try:
                found = await settling.give_up(
                    self._pool, of, why, row_id, reason=said, delay_ms=self._delay_ms(0), for_good=for_good
                )
            except Exception as refusal:
                if not is_of_a_row(refusal):
                    raise
                continue
            if found is not None:
                self._metrics.attempts_failed.inc()
                if found["status"] == "dead_letter":
                    self._note_dead_letter(found["event_id"], found["attempts"])
            return True
        log.error("a row takes no writes at all", row=row_id, error=reason)
        return False

    def _delay_ms(self, attempts: int) -> int:
        jitter = random.random()  # noqa: S311 - spreads retries, keeps no secret
        return backoff_ms(
            max(1, attempts + 1), base_ms=self._backoff.base_ms, max_ms=self._backoff.max_ms, jitter=jitter
        )

    async def _bury(self, failure: Failure, error: Exception) -> None:
        """It can't even wait for another attempt."""
        for reason in (reason_of(f"{failure.error}; then: {reason_of(error)}"), UNSPEAKABLE):
            try:
                event_id = await store.bury(self._pool, self._worker, failure, reason=reason)
            except Exception as refusal:
                if not is_of_a_row(refusal):
                    raise
                error = refusal
            else:
                if event_id is not None:
                    self._metrics.attempts_failed.inc()
                    self._note_dead_letter(event_id, None)
                return
        # It stays in processing until its lease ends, and is tried again then; nobody waits for it.
        log.error("a row takes no writes at all", row=failure.id, error=reason_of(error))

    def _note_dead_letter(self, event_id: str, attempts: int | None) -> None:
        self._metrics.dead_letters.inc()
        log.error("dead letter", event_id=event_id, attempts=attempts)
