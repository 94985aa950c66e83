"""provider-reminder's rows: a person's reminders, changed one call at a time; what is due, under leases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from uniassist.store.queries import statements
from uniassist.store.server.pool import Connection, Pool

MOST_OF_A_PERSON = 200
SLICE = 1000
ANSWERS_KEPT = dt.timedelta(days=3)
_ERASE_SECONDS = 60.0


@dataclass(frozen=True)
class Owner:
    """`subject`: of their app token; empty where none was shown."""

    user_id: str
    subject: str = ""


@dataclass(frozen=True)
class Reminder:
    """`matter`: what of; may be empty. `rule`, `anchor`: of what recurs, see `recurring`; None: once.

    `due_at`: None when it is over or cancelled. `said_at`: when it was last said.
    """

    reminder_id: str
    matter: str
    language: str
    due_at: dt.datetime | None
    rule: str | None = None
    anchor: dt.datetime | None = None
    occurrence: int = 1
    said_at: dt.datetime | None = None


@dataclass(frozen=True)
class Claimed:
    """One that is due, under a lease. `session_id`, `timezone`: the person's latest. `attempts`: this one counted.

    `claimed_at`: by the database's clock, as `due_at` is.
    """

    reminder_id: str
    user_id: str
    subject: str
    run_id: str
    matter: str
    language: str
    rule: str | None
    anchor: dt.datetime | None
    due_at: dt.datetime
    occurrence: int
    attempts: int
    session_id: str
    timezone: str | None
    claimed_at: dt.datetime


@dataclass(frozen=True)
class Settled:
    """A claimed one that was said. `due_at` None: it is over."""

    claimed: Claimed
    anchor: dt.datetime | None
    due_at: dt.datetime | None


@dataclass(frozen=True)
class Zones:
    """`before`: where the person was until now; `now`: where they are. None: unknown."""

    before: str | None
    now: str | None


async def lock_person(connection: Connection, owner: Owner, *, session_id: str, timezone: str | None) -> Zones:
    """The person's row, locked until the transaction's end. `timezone`: where they say they are, if they do."""
    queries = statements("reminders")
    lock = queries["lock_person"](user_id=owner.user_id, subject=owner.subject)
    before: str | None = await connection.fetchval(*lock, timeout=5)
    note = queries["note_person"](
        user_id=owner.user_id, subject=owner.subject, session_id=session_id, timezone=timezone
    )
    now: str | None = await connection.fetchval(*note, timeout=5)
    return Zones(before, now)


async def answer(connection: Connection, owner: Owner, run_id: str) -> str | None:
    """What the run was answered before, as JSON."""
    asked = statements("reminders")["answer"](run_id=run_id, user_id=owner.user_id, subject=owner.subject)
    found: str | None = await connection.fetchval(*asked, timeout=5)
    return found


async def keep_answer(connection: Connection, owner: Owner, run_id: str, said: str) -> None:
    """`said`: JSON."""
    asked = statements("reminders")["keep_answer"]
    await connection.execute(
        *asked(run_id=run_id, user_id=owner.user_id, subject=owner.subject, answer=said), timeout=5
    )


async def of_person(connection: Connection, owner: Owner) -> list[Reminder]:
    """What waits, soonest first; then what was said within a day, latest first."""
    asked = statements("reminders")["of_person"](
        user_id=owner.user_id, subject=owner.subject, limit=2 * MOST_OF_A_PERSON
    )
    return [Reminder(**dict(row)) for row in await connection.fetch(*asked, timeout=5)]


async def put(connection: Connection, owner: Owner, run_id: str, reminders: Sequence[Reminder]) -> None:
    """Write new and changed ones. `due_at` None cancels."""
    if not reminders:
        return
    asked = statements("reminders")["put"](
        user_id=owner.user_id,
        subject=owner.subject,
        run_id=run_id,
        reminder_ids=[each.reminder_id for each in reminders],
        matters=[each.matter for each in reminders],
        languages=[each.language for each in reminders],
        rules=[each.rule for each in reminders],
        anchors=[each.anchor for each in reminders],
        due_ats=[each.due_at for each in reminders],
    )
    await connection.execute(*asked, timeout=5)


async def claim(
    pool: Pool, *, owner: str, limit: int, lease_seconds: float, longest_seconds: float
) -> list[Claimed]:
    """What is due, the longest due first. `longest_seconds`: no lease and no pause that is given ends later."""
    asked = statements("reminders")["claim"](
        owner=owner,
        lease=dt.timedelta(seconds=lease_seconds),
        longest=dt.timedelta(seconds=longest_seconds),
        limit=limit,
    )
    return [Claimed(**dict(row)) for row in await pool.fetch(*asked, timeout=10)]


async def settle(pool: Pool, settled: Sequence[Settled], *, owner: str) -> None:
    """Note that these were said, and when those that recur are due again."""
    if not settled:
        return
    asked = statements("reminders")["settle"](
        owner=owner,
        reminder_ids=[each.claimed.reminder_id for each in settled],
        occurrences=[each.claimed.occurrence for each in settled],
        anchors=[each.anchor for each in settled],
        due_ats=[each.due_at for each in settled],
    )
    await pool.execute(*asked, timeout=10)


async def put_off(
    pool: Pool, claims: Sequence[Claimed], pauses: Sequence[float], *, owner: str, error: str
) -> None:
    """The gateway can't be told now: again after so many seconds each."""
    if not claims:
        return
    asked = statements("reminders")["put_off"](
        owner=owner,
        reminder_ids=[each.reminder_id for each in claims],
        occurrences=[each.occurrence for each in claims],
        pauses=pauses,
        error=error,
    )
    await pool.execute(*asked, timeout=10)


async def refuse(pool: Pool, refused: Sequence[tuple[Claimed, str]], *, owner: str) -> None:
    """The gateway will never take these, and says why."""
    if not refused:
        return
    asked = statements("reminders")["refuse"](
        owner=owner,
        reminder_ids=[each.reminder_id for each, _ in refused],
        occurrences=[each.occurrence for each, _ in refused],
        errors=[why for _, why in refused],
    )
    await pool.execute(*asked, timeout=10)


async def overdue(pool: Pool) -> tuple[int, float]:
    """How many are due, and for how many seconds the first of them has been."""
    row = await pool.fetchrow(*statements("reminders")["overdue"](), timeout=5)
    assert row is not None, "an aggregate gives a row"
    return row["due"], row["seconds"]


async def erase(pool: Pool, user_id: str, until: dt.datetime) -> None:
    """All that was kept of the user until then, whichever tokens they showed. Told again, it does it again."""
    await pool.execute(*statements("reminders")["erase"](user_id=user_id, until=until), timeout=_ERASE_SECONDS)


async def forget(pool: Pool, *, days: int) -> bool:
    """Answers that nobody asks for again; with `days`, what was over so long ago, and people with nothing left.

    True: there may be more.
    """
    queries = statements("reminders")
    gone = [await pool.fetchval(*queries["forget_answers"](kept_for=ANSWERS_KEPT, limit=SLICE), timeout=30)]
    if days:
        for name in ("forget_reminders", "forget_people"):
            gone.append(await pool.fetchval(*queries[name](days=days, limit=SLICE), timeout=30))
    return SLICE in gone
