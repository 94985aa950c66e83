"""Steps are told in the morning of the day on which they begin: a loop over what Postgres says is due.

Any number of processes may run it. A plan is claimed for a while (FOR UPDATE SKIP LOCKED), told, and only then
noted as told; who dies in between leaves it to another, whose event has the same id: the gateway takes it once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Protocol

import structlog

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.interaction import DomainEvent, Related
from uniassist.lifecycle import Loop
from uniassist.provider import NotAccepted
from uniassist.provider_plan import schedule
from uniassist.provider_plan.phrases import say
from uniassist.provider_plan.planner.keeping import restored
from uniassist.provider_plan.planner.model import Plan, Step
from uniassist.provider_plan.planner.showing import day_in_words, steps_in_words
from uniassist.store import plans as store
from uniassist.store.plans import DuePlan
from uniassist.store.server.pool import Pool
from uniassist.times import zone_of
from uniassist.web.calling.client import CallFailed

log = structlog.get_logger()

LOOK_SECONDS = 5.0
AT_ONCE = 50
TELL_SECONDS = 20.0
LEASE_SECONDS = 30.0  # longer than telling takes
_PROVIDER_ID = "plan"


class Tells(Protocol):
    """The gateway, as far as it is needed here."""

    async def domain_event(self, event: DomainEvent, *, event_id: str | None = None) -> None:
        """NotAccepted, CallFailed."""
        ...


class DueSteps:
    """`loop` tells what is due. `hour`: of a person's morning."""

    def __init__(self, pool: Pool, gateway: Tells, *, hour: int) -> None:
        self._pool = pool
        self._gateway = gateway
        self._hour = hour
        self.loop = Loop("due steps", self.run_once)

    async def run_once(self) -> float:
        due = await store.claim_due(self._pool, limit=AT_ONCE, lease_seconds=LEASE_SECONDS)
        failed = [each for each in await asyncio.gather(*(self._tell(one) for one in due)) if each is not None]
        if failed:
            raise failed[0]  # said by the loop; the leases end by themselves
        return 0.0 if len(due) == AT_ONCE else LOOK_SECONDS

    async def _tell(self, due: DuePlan) -> Exception | None:
        plan = restored(due.body)
        day = due.due_at.astimezone(zone_of(due.timezone)).date()
        if plan is None:
            log.error("a kept plan can't be read; its steps aren't told", plan=due.plan_id)
            await store.told(self._pool, due, told_through=day, next_due_at=None)
            return None
        steps = schedule.begins(plan, day)
        try:
            async with asyncio.timeout(TELL_SECONDS):
                if steps:
                    await self._gateway.domain_event(_event(due, plan, day, steps), event_id=_event_id(due, day))
        except NotAccepted as refused:  # the person was erased, or their sessions are gone
            log.warning("steps that are due are refused", plan=due.plan_id, reason=str(refused))
        except (CallFailed, TimeoutError) as error:
            return error
        next_due = schedule.next_due(plan, day, due.timezone, self._hour)
        await store.told(self._pool, due, told_through=day, next_due_at=next_due)
        return None


def _event_id(due: DuePlan, day: dt.date) -> str:
    """The same for the same plan and day, whoever tells it."""
    named = f"{due.user_id}\n{due.subject}\n{due.plan_id}\n{day}"
    return f"due-{hashlib.sha256(named.encode()).hexdigest()[:40]}"


def _event(due: DuePlan, plan: Plan, day: dt.date, steps: Sequence[Step]) -> DomainEvent:
    today = dt.datetime.now(zone_of(due.timezone)).date()
    key = "due_title" if day == today else "due_title_late"
    goal = plan.goal.text[:60]
    return DomainEvent(
        schema_version=SCHEMA_VERSION,
        user_id=due.user_id,
        provider_id=_PROVIDER_ID,
        event_type="reminder",
        title=say(key, plan.language, goal=goal, day=day_in_words(day, plan.language)),
        body=steps_in_words(plan, steps, today),
        severity="info",
        related=Related(task_id=due.plan_id),
        timestamp_ms=int(due.due_at.timestamp() * 1000),
    )
