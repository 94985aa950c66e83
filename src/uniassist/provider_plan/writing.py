"""What calls want written, in few statements: what is new is gathered, and what may depend on it comes after."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from uniassist.provider_plan import schedule
from uniassist.provider_plan.planner.keeping import kept
from uniassist.provider_plan.planner.model import Plan
from uniassist.provider_plan.shelf import Deleted, Drafted, Linked, Put, Shelf, Used
from uniassist.store import plans as store
from uniassist.store.plans import AnswerRow, DraftRow, Look, Person, PersonsPlans, PlanRow, PutRow
from uniassist.store.server.pool import Connection


@dataclass(frozen=True)
class KeepingRules:
    """`public_url`: where people reach us; None: nowhere. `due_hour`: of a person's morning."""

    public_url: str | None
    link_hours: int
    due_hour: int


class Writing:
    """Of one transaction. `flush` at its end."""

    def __init__(self, connection: Connection, rules: KeepingRules) -> None:
        self._connection = connection
        self._rules = rules
        self._puts: dict[tuple[Person, str], PutRow] = {}
        self._drafts: dict[tuple[Person, str], DraftRow] = {}
        self._answers: list[AnswerRow] = []

    async def take(
        self, person: Person, shelf: Shelf, rows: Sequence[PlanRow], timezone: str | None, tongue: str
    ) -> None:
        """What a call left on its shelf, in order."""
        mine = PersonsPlans(self._connection, person)
        by_id = {row.plan_id: row for row in rows}
        put = set()
        for write in shelf.writes:
            match write:
                case Put(plan_id, plan):
                    put.add(plan_id)
                    await self._put(person, plan_id, plan, by_id.get(plan_id), timezone)
                case Used(plan_id):
                    await self.flush()
                    await mine.use(plan_id)
                case Deleted(plan_ids):
                    await self.flush()
                    await mine.delete(plan_ids)
                case Drafted(task_id, known):
                    await self._draft(person, task_id, msgspec.json.encode(dict(known)).decode())
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

    def note_answer(self, look: Look, answer: bytes) -> None:
        person = look.person
        self._answers.append(AnswerRow(person.user_id, person.subject, look.call_key, answer))

    async def flush(self) -> None:
        """Write what was gathered."""
        if self._puts or self._drafts or self._answers:
            puts, drafts = list(self._puts.values()), list(self._drafts.values())
            await store.keep(self._connection, puts, drafts, self._answers)
            self._puts, self._drafts, self._answers = {}, {}, []

    async def _put(
        self, person: Person, plan_id: str, plan: Plan, row: PlanRow | None, timezone: str | None
    ) -> None:
        if (person, plan_id) in self._puts:
            await self.flush()
        zone = timezone or (row.timezone if row is not None else None)
        told = schedule.told_through(dt.datetime.now(dt.UTC), zone, self._rules.due_hour)
        if row is not None:
            told = max(told, row.told_through)
        self._puts[person, plan_id] = PutRow(
            user_id=person.user_id,
            subject=person.subject,
            plan_id=plan_id,
            body=kept(plan),
            timezone=zone,
            ends_on=plan.goal.ends,
            told_through=told,
            due_at=schedule.next_due(plan, told, zone, self._rules.due_hour),
        )

    async def _draft(self, person: Person, task_id: str, known: str) -> None:
        if (person, task_id) in self._drafts:
            await self.flush()
        self._drafts[person, task_id] = DraftRow(person.user_id, person.subject, task_id, known)


def hash_of(token: str) -> bytes:
    """What is stored of a link: who reads the table can't open one."""
    return hashlib.sha256(token.encode()).digest()
