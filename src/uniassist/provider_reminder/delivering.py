"""Due reminders, pushed to the gateway: each once, whatever is killed between the push and its note.

What is due is claimed under a lease and pushed under an id that is made of the reminder and its occurrence: pushed
again after a lease that nobody ended, it is the same event to the gateway. Several processes share the work.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.interaction import DomainEvent, Related
from uniassist.contracts.language import language
from uniassist.contracts.provider import EventRejection, LateDomainEvent
from uniassist.lifecycle import Loop
from uniassist.provider import Gateway
from uniassist.provider_reminder import showing
from uniassist.provider_reminder.phrases import say
from uniassist.provider_reminder.recurring import missed, next_after
from uniassist.store import reminders as store
from uniassist.store.reminders import Claimed, Settled
from uniassist.store.server.pool import Pool
from uniassist.times import zone_of
from uniassist.web.calling.client import CallFailed

log = structlog.get_logger()

PROVIDER_ID = "reminder"
BATCH = 400
PER_REQUEST = 10
REQUESTS_AT_ONCE = 32
LEASE_SECONDS = 30.0  # a round takes ten at most: each request has five, and there are two of them in a row
LOOK_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
LATE_AFTER = dt.timedelta(minutes=2)
FORGET_SECONDS = 3600.0
_SESSION_NOT_FOUND = "SESSION_NOT_FOUND"


@dataclass(frozen=True)
class Round:
    """What became of what was claimed."""

    said: int
    put_off: int
    refused: int


class Deliveries:
    """`loop` says what is due, every second; `forgetting` forgets what is long over (`days`; 0: nothing).

    `owner`: this process, on its leases.
    """

    def __init__(self, pool: Pool, gateway: Gateway, *, owner: str, days: int) -> None:
        self._pool = pool
        self._gateway = gateway
        self._owner = owner
        self._days = days
        self._at_once = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._failed_in_a_row = 0
        self.loop = Loop("reminders-due", self._run_once)
        self.forgetting = Loop("reminders-forget", self._forget_once)

    async def check(self) -> None:
        """RuntimeError when nothing that is due would be said."""
        if not self.loop.alive:
            raise RuntimeError("the loop that says what is due has ended")

    async def say_due(self) -> Round:
        """One batch of what is due."""
        claimed = await store.claim(
            self._pool,
            owner=self._owner,
            limit=BATCH,
            lease_seconds=LEASE_SECONDS,
            longest_seconds=max(LEASE_SECONDS, LONGEST_PAUSE_SECONDS) + 1,
        )
        parts = [claimed[at : at + PER_REQUEST] for at in range(0, len(claimed), PER_REQUEST)]
        rounds = await asyncio.gather(*(self._say(part) for part in parts))
        return Round(
            sum(each.said for each in rounds),
            sum(each.put_off for each in rounds),
            sum(each.refused for each in rounds),
        )

    async def _run_once(self) -> float:
        done = await self.say_due()
        if done.put_off and not done.said:
            self._failed_in_a_row += 1
            return min(LONGEST_PAUSE_SECONDS / 2, 0.5 * 2.0 ** min(self._failed_in_a_row, 8))
        self._failed_in_a_row = 0
        return 0.0 if done.said + done.refused == BATCH else LOOK_SECONDS

    async def _forget_once(self) -> float:
        return 0.5 if await store.forget(self._pool, days=self._days) else FORGET_SECONDS

    async def _say(self, claimed: Sequence[Claimed]) -> Round:
        """Tell the gateway of some, and note what it says of each."""
        try:
            async with self._at_once:
                refused = await self._told(claimed)
        except CallFailed as error:
            await self._put_off(claimed, str(error))
            return Round(0, len(claimed), 0)
        accepted = [each for at, each in enumerate(claimed) if at not in refused]
        await store.settle(self._pool, [settled(each) for each in accepted], owner=self._owner)
        reasons = [(claimed[at], f"{why.code}: {why.message}") for at, why in refused.items()]
        await store.refuse(self._pool, reasons, owner=self._owner)
        for each, why in reasons:
            log.error("a reminder can't be said", reminder=each.reminder_id, reason=why)
        return Round(len(accepted), 0, len(reasons))

    async def _told(self, claimed: Sequence[Claimed]) -> dict[int, EventRejection]:
        """Those that are refused. One whose session is gone is told again without it: the person may have others.

        Not where they showed a token: then nobody else who has this userId may hear of it.
        """
        refused = await self._gateway.tell_once([event_of(each) for each in claimed])
        lost = [at for at, why in refused.items() if why.code == _SESSION_NOT_FOUND and not claimed[at].subject]
        if lost:
            again = await self._gateway.tell_once([event_of(claimed[at], names_session=False) for at in lost])
            refused = {at: why for at, why in refused.items() if at not in lost}
            refused |= {lost[place]: why for place, why in again.items()}
        return refused

    async def _put_off(self, claimed: Sequence[Claimed], error: str) -> None:
        pauses = [min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** min(each.attempts, 8)) for each in claimed]
        if any(each.attempts == 1 for each in claimed):
            log.warning("reminders wait for the gateway", count=len(claimed), error=error)
        await store.put_off(self._pool, claimed, pauses, owner=self._owner, error=error)


def event_of(claimed: Claimed, *, names_session: bool = True) -> LateDomainEvent:
    """Under an id of its own, the same whenever it is pushed."""
    spoken = language(claimed.language)
    title = say("title", spoken, matter=claimed.matter) if claimed.matter else say("title_bare", spoken)
    event = DomainEvent(
        schema_version=SCHEMA_VERSION,
        session_id=claimed.session_id if names_session else None,
        user_id=claimed.user_id,
        provider_id=PROVIDER_ID,
        event_type="reminder",
        title=title,
        body=_note(claimed),
        severity="info",
        related=Related(run_id=claimed.run_id, task_id=claimed.reminder_id),
        timestamp_ms=int(time.time() * 1000),
    )
    return LateDomainEvent(event_id=f"{claimed.reminder_id}-{claimed.occurrence}", event=event)


def settled(claimed: Claimed) -> Settled:
    """What is due after this: of what recurs the next that is still to come, however many were missed."""
    if claimed.rule is None or claimed.anchor is None:
        return Settled(claimed, None, None)
    zone = zone_of(claimed.timezone)
    count, last = missed(claimed.rule, claimed.anchor, zone, claimed.due_at, claimed.claimed_at)
    found = next_after(claimed.rule, claimed.anchor, zone, max(claimed.claimed_at, claimed.due_at))
    return Settled(claimed, last if count else claimed.anchor, found[0] if found is not None else None)


def _note(claimed: Claimed) -> str | None:
    """Where it comes late: when it was due, and how many times it was missed."""
    if claimed.claimed_at - claimed.due_at < LATE_AFTER:
        return None
    spoken, zone = language(claimed.language), zone_of(claimed.timezone)
    due = showing.moment(claimed.due_at, claimed.claimed_at.astimezone(zone), spoken)
    if claimed.rule is not None and claimed.anchor is not None:
        count, _ = missed(claimed.rule, claimed.anchor, zone, claimed.due_at, claimed.claimed_at)
        if count > 1:
            return say("missed", spoken, count=count, when=due)
    return say("late", spoken, when=due)
