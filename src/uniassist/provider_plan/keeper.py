"""People's shelves in Postgres: a call has its person's for itself, and changes it once, however often it comes."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import structlog

from uniassist.contracts import codec
from uniassist.contracts.language import language
from uniassist.contracts.provider import (
    ContextUser,
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
)
from uniassist.provider_plan import answers, schedule
from uniassist.provider_plan.planner.ideas import Ideas
from uniassist.provider_plan.planner.keeping import kept, restored
from uniassist.provider_plan.planner.model import Plan
from uniassist.provider_plan.shelf import Deleted, Drafted, Kept, Linked, Put, Shelf, Used
from uniassist.store.plans import Person, PersonsPlans, PlanRow
from uniassist.store.server.pool import Pool

log = structlog.get_logger()

CALENDARS = "/calendars/"
_ACQUIRE_SECONDS = 2.0

Answer = TypeVar("Answer", InvokeResponse, InteractResponse)


@dataclass(frozen=True)
class KeepingRules:
    """`public_url`: where people reach us; None: nowhere. `due_hour`: of a person's morning."""

    public_url: str | None
    link_hours: int
    due_hour: int


class Keeper:
    """Answers calls with the person's plans at hand. Two calls of a person come one after the other."""

    def __init__(self, pool: Pool, rules: KeepingRules) -> None:
        self._pool = pool
        self._rules = rules

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        """A ServerFault where Postgres doesn't answer: then nothing was changed."""
        user, message = request.context.user, request.input
        return await self._answer(
            user,
            f"invoke {request.run.run_id}",
            message.timezone or user.timezone,
            lambda shelf: answers.invoke(request, shelf),
            InvokeResponse,
        )

    async def interact(self, request: InteractRequest, ideas: Ideas | None = None) -> InteractResponse:
        """As `invoke`. `ideas`: a model's for the plan that is made."""
        return await self._answer(
            request.context.user,
            _key_of(request),
            request.context.user.timezone,
            lambda shelf: answers.interact(request, shelf, ideas),
            InteractResponse,
            task_id=answers.task_of(request),
        )

    async def draft(self, request: InteractRequest) -> dict[str, str]:
        """What was known of the plan whose form this submits."""
        async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
            mine = PersonsPlans(connection, _person(request.context.user))
            return await mine.draft(answers.task_of(request))

    async def _answer(
        self,
        user: ContextUser,
        call_key: str,
        timezone: str | None,
        decide: Callable[[Shelf], Answer],
        shape: type[Answer],
        *,
        task_id: str | None = None,
    ) -> Answer:
        async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection, connection.transaction():
            mine = PersonsPlans(connection, _person(user))
            await mine.lock()
            before = await mine.answer(call_key)
            if before is not None:
                return codec.decode(before, shape)
            rows = await mine.all()
            link = self._new_link if self._rules.public_url is not None else None
            draft = await mine.draft(task_id) if task_id is not None else None
            shelf = Shelf(_read(rows), is_kept=True, draft=draft, new_link=link)
            answer = decide(shelf)
            await self._write(mine, shelf, rows, timezone, language(user.locale))
            if shelf.writes:
                await mine.note_answer(call_key, codec.encode(answer))
            return answer

    def _new_link(self) -> tuple[str, str]:
        token = secrets.token_urlsafe(32)
        return token, f"{self._rules.public_url}{CALENDARS}{token}.ics"

    async def _write(
        self, mine: PersonsPlans, shelf: Shelf, rows: Sequence[PlanRow], timezone: str | None, tongue: str
    ) -> None:
        by_id = {row.plan_id: row for row in rows}
        put = set()
        for write in shelf.writes:
            match write:
                case Put(plan_id, plan):
                    put.add(plan_id)
                    await self._put(mine, plan_id, plan, by_id.get(plan_id), timezone)
                case Used(plan_id):
                    await mine.use(plan_id)
                case Deleted(plan_ids):
                    await mine.delete(plan_ids)
                case Drafted(task_id, known):
                    await mine.put_draft(task_id, dict(known))
                case Linked(token, plan_id):
                    lasts = dt.timedelta(hours=self._rules.link_hours)
                    await mine.put_link(hash_of(token), plan_id, tongue, lasts)
        if timezone is None:
            return
        for each in shelf.plans:  # the person has moved: so have their mornings
            row = by_id.get(each.plan_id)
            if row is not None and row.timezone != timezone and each.plan_id not in put:
                due_at = schedule.next_due(each.plan, row.told_through, timezone, self._rules.due_hour)
                await mine.reschedule(each.plan_id, timezone, due_at)

    async def _put(
        self, mine: PersonsPlans, plan_id: str, plan: Plan, row: PlanRow | None, timezone: str | None
    ) -> None:
        zone = timezone or (row.timezone if row is not None else None)
        told = schedule.told_through(dt.datetime.now(dt.UTC), zone, self._rules.due_hour)
        if row is not None:
            told = max(told, row.told_through)
        await mine.put(
            plan_id,
            kept(plan),
            timezone=zone,
            ends_on=plan.goal.ends,
            told_through=told,
            due_at=schedule.next_due(plan, told, zone, self._rules.due_hour),
        )


def hash_of(token: str) -> bytes:
    """What is stored of a link: who reads the table can't open one."""
    return hashlib.sha256(token.encode()).digest()


def _person(user: ContextUser) -> Person:
    return Person(user.user_id, user.subject or "")


def _read(rows: Sequence[PlanRow]) -> list[Kept]:
    """Those that can be read; one of a later release is left as it is."""
    found = []
    for row in rows:
        plan = restored(row.body)
        if plan is None:
            log.error("a kept plan can't be read, and is left as it is", plan=row.plan_id)
            continue
        found.append(Kept(row.plan_id, plan, row.used_at, row.deleted_at))
    return found


def _key_of(request: InteractRequest) -> str:
    """The same for each attempt. A run has any number of interactions, told apart by what they say."""
    first = msgspec.structs.replace(request.run, attempt=0)
    said = codec.encode([first, request.interaction])
    return f"interact {hashlib.sha256(said).hexdigest()}"
