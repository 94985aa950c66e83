"""What provider-plan keeps of people: plans, answers that changed them, forms that are open, links to calendars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from uniassist.store.queries import statements
from uniassist.store.server import pool as pools
from uniassist.store.server.pool import Connection, Pool, Record

STATEMENT_SECONDS = 5.0
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
SLICE = 500


@dataclass(frozen=True)
class Person:
    """`subject`: of the app token that their session was opened with; empty where none was shown."""

    user_id: str
    subject: str


@dataclass(frozen=True)
class PlanRow:
    """`body`: provider-plan's own. `told_through`: the person's last day whose steps need not be told any more."""

    plan_id: str
    body: str
    version: int
    timezone: str | None
    told_through: dt.date
    created_at: dt.datetime
    changed_at: dt.datetime
    used_at: dt.datetime
    deleted_at: dt.datetime | None


@dataclass(frozen=True)
class Look:
    """What a call asks for. `task_id`: of the form that it submits."""

    person: Person
    call_key: str
    task_id: str | None


@dataclass
class Found:
    """`answer`: what the call was answered when it came before. `rows`: in the order in which they were made; those
    deleted lately as well."""

    answer: bytes | None
    draft: dict[str, str]
    rows: list[PlanRow] = field(default_factory=list)


class PutRow(msgspec.Struct, frozen=True):
    """A new plan, a changed one, or a deleted one back."""

    user_id: str
    subject: str
    plan_id: str
    body: str
    timezone: str | None
    ends_on: dt.date
    told_through: dt.date
    due_at: dt.datetime | None


class DraftRow(msgspec.Struct, frozen=True):
    """`known`: JSON."""

    user_id: str
    subject: str
    task_id: str
    known: str


class AnswerRow(msgspec.Struct, frozen=True):
    user_id: str
    subject: str
    call_key: str
    answer: bytes


@dataclass(frozen=True)
class DuePlan:
    """One whose steps are due, leased to who claimed it."""

    user_id: str
    subject: str
    plan_id: str
    body: str
    version: int
    timezone: str | None
    told_through: dt.date
    due_at: dt.datetime


@dataclass(frozen=True)
class Link:
    """`plan_id` None: of all the person's plans."""

    person: Person
    plan_id: str | None
    language: str


async def create_pool(url: str) -> Pool:
    """A process that was stopped amid a transaction (SIGSTOP, a frozen host) loses its locks: it may have many."""
    settings = {"idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT}
    return await pools.create_pool(url, application_name="uniassist provider-plan", settings=settings)


class PersonsPlans:
    """One person's, on a connection whose transaction has them for itself."""

    def __init__(self, connection: Connection, person: Person) -> None:
        self._connection = connection
        self._whose = {"user_id": person.user_id, "subject": person.subject}
        self._person = person

    async def lock(self) -> None:
        """First of all: other calls of the person wait until the transaction's end."""
        await self._connection.execute(*statements("plans")["lock"](user_id=self._person.user_id))

    async def use(self, plan_id: str) -> None:
        await self._connection.execute(*statements("plans")["use"](**self._whose, plan_id=plan_id))

    async def reschedule(self, plan_id: str, timezone: str | None, due_at: dt.datetime | None) -> None:
        """The person is in another zone now."""
        asked = statements("plans")["reschedule"](**self._whose, plan_id=plan_id, timezone=timezone, due_at=due_at)
        await self._connection.execute(*asked)

    async def delete(self, plan_ids: Sequence[str]) -> None:
        await self._connection.execute(*statements("plans")["delete"](**self._whose, plan_ids=list(plan_ids)))

    async def draft(self, task_id: str) -> dict[str, str]:
        found = await self._connection.fetchval(*statements("plans")["draft"](**self._whose, task_id=task_id))
        return _known(found)

    async def put_link(self, link_hash: bytes, plan_id: str | None, language: str, lasts: dt.timedelta) -> None:
        asked = statements("plans")["put_link"](
            **self._whose, link_hash=link_hash, plan_id=plan_id, language=language, lasts=lasts
        )
        await self._connection.execute(*asked)


async def try_lock(connection: Connection, user_ids: Sequence[str], *, patience: dt.timedelta) -> set[str]:
    """As `PersonsPlans.lock`, without waiting: those of them who are locked now.

    `patience`: for how long the transaction waits for a row that somebody else holds; then it is Locked.
    """
    asked = statements("plans")["try_lock"](
        user_ids=user_ids, patience=f"{patience // dt.timedelta(milliseconds=1)}ms"
    )
    return {row["user_id"] for row in await connection.fetch(*asked)}


async def look(connection: Connection, asked: Sequence[Look]) -> list[Found]:
    """What each finds; their persons are locked."""
    rows = await connection.fetch(
        *statements("plans")["look"](
            user_ids=[each.person.user_id for each in asked],
            subjects=[each.person.subject for each in asked],
            call_keys=[each.call_key for each in asked],
            task_ids=[each.task_id for each in asked],
        )
    )
    found: list[Found] = []
    for number, answer, known, *plan in rows:
        if number > len(found):
            found.append(Found(answer, _known(known)))
        if plan[0] is not None:
            found[-1].rows.append(PlanRow(*plan))
    return found


async def keep(
    connection: Connection, puts: Sequence[PutRow], drafts: Sequence[DraftRow], answers: Sequence[AnswerRow]
) -> None:
    """In one statement: so no plan and no form may be there twice."""
    await connection.execute(
        *statements("plans")["keep"](
            **_columns("plans", PutRow, puts),
            **_columns("drafts", DraftRow, drafts),
            **_columns("answers", AnswerRow, answers),
        )
    )


async def link(pool: Pool, link_hash: bytes) -> Link | None:
    """None: there is none, or it is over."""
    row = await pool.fetchrow(*statements("plans")["link"](link_hash=link_hash), timeout=STATEMENT_SECONDS)
    if row is None:
        return None
    return Link(Person(row["user_id"], row["subject"]), row["plan_id"], row["language"])


async def read(pool: Pool, person: Person, plan_id: str | None) -> list[PlanRow]:
    """That plan of the person's; None: all."""
    asked = statements("plans")["read"](user_id=person.user_id, subject=person.subject, plan_id=plan_id)
    rows: list[Record] = await pool.fetch(*asked, timeout=STATEMENT_SECONDS)
    return [PlanRow(**dict(row)) for row in rows]


async def claim_due(pool: Pool, *, limit: int, lease_seconds: float) -> list[DuePlan]:
    """Those with steps to be told, not leased to anybody else. Each comes again after the lease, unless told."""
    asked = statements("plans")["claim_due"](limit=limit, lease=dt.timedelta(seconds=lease_seconds))
    return [DuePlan(**dict(row)) for row in await pool.fetch(*asked, timeout=STATEMENT_SECONDS)]


async def told(pool: Pool, due: DuePlan, *, told_through: dt.date, next_due_at: dt.datetime | None) -> None:
    """Nothing where the plan was changed meanwhile."""
    asked = statements("plans")["told"](
        user_id=due.user_id,
        subject=due.subject,
        plan_id=due.plan_id,
        version=due.version,
        due_at=due.due_at,
        told_through=told_through,
        next_due_at=next_due_at,
    )
    await pool.execute(*asked, timeout=STATEMENT_SECONDS)


async def erase(pool: Pool, user_id: str, until: dt.datetime) -> int:
    """All of a person until then, whatever they showed; how many plans."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(*statements("plans")["lock"](user_id=user_id))
        gone: int = await connection.fetchval(*statements("plans")["erase"](user_id=user_id, until=until))
    return gone


async def forget(pool: Pool, *, days: int, kept: dt.timedelta, drafts_kept: dt.timedelta) -> bool:
    """What is old, a slice of it; whether there may be more.

    `days`: since a plan's last use and its end; 0: never. `kept`: deleted plans and answers; `drafts_kept`: forms.
    """
    passing = statements("plans")["forget_passing"](kept=kept, drafts_kept=drafts_kept, limit=SLICE)
    gone: int = await pool.fetchval(*passing, timeout=60)
    if days:
        unused = statements("plans")["forget_unused"](days=days, limit=SLICE)
        gone = max(gone, await pool.fetchval(*unused, timeout=60))
    return gone == SLICE


def _known(draft: str | None) -> dict[str, str]:
    return msgspec.json.decode(draft, type=dict[str, str]) if draft is not None else {}


def _columns(
    table: str, shape: type[msgspec.Struct], rows: Sequence[msgspec.Struct]
) -> dict[str, Sequence[object]]:
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True) if rows else [()] * len(shape.__struct_fields__)
    return {f"{table}_{name}": column for name, column in zip(shape.__struct_fields__, columns, strict=True)}
