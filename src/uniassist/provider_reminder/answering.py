"""A call, answered from the person's rows and written to them in one transaction.

Asked again, it is answered the same.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import msgspec

from uniassist.contracts.provider import ErasureRequest, InvokeRequest
from uniassist.errors import ServerFault, Unavailable
from uniassist.provider import Call
from uniassist.provider_reminder.deciding import Decision, Person, decide
from uniassist.provider_reminder.recurring import counts_hours, next_after
from uniassist.provider_reminder.talk import Talk
from uniassist.store import reminders as store
from uniassist.store.reminders import Owner, Reminder
from uniassist.store.server.pool import Connection, Pool
from uniassist.times import now_in, zone_of

_BELIEVED = dt.timedelta(days=1)


class _Said(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is kept of an answer. `hint` None: no reply is expected."""

    text: str
    hint: str | None = None
    passes: bool = False


class Answering:
    """`answer` and `erase` are the provider's handlers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def answer(self, call: Call) -> None:
        """Unavailable while the database is."""
        assert isinstance(call.request, InvokeRequest), "interactions have no handler here"
        try:
            async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                said = await _answered(connection, call, call.request)
        except ServerFault as fault:
            raise Unavailable(fault.for_callers) from fault
        await call.say(said.text)
        if said.hint is not None:
            call.expect_reply(hint=said.hint)
        if said.passes:
            call.pass_on()

    async def erase(self, asked: ErasureRequest) -> None:
        until = dt.datetime.fromtimestamp(asked.timestamp_ms / 1000, dt.UTC)
        try:
            await store.erase(self._pool, asked.user_id, until)
        except ServerFault as fault:
            raise Unavailable(fault.for_callers) from fault


async def _answered(connection: Connection, call: Call, request: InvokeRequest) -> _Said:
    owner = Owner(call.user.user_id, call.user.subject or "")
    run_id = request.run.run_id
    zones = await store.lock_person(
        connection, owner, session_id=call.run.session_id, timezone=_known_zone(call.timezone)
    )
    before = await store.answer(connection, owner, run_id)
    if before is not None:
        return msgspec.json.decode(before, type=_Said)
    now = _now(request.input.timestamp_ms, zones.now)
    kept = await store.of_person(connection, owner)
    waiting = [each for each in kept if each.due_at is not None]
    has_moved = zones.before != zones.now
    moved = _followed(waiting, now, zone_of(zones.before)) if has_moved else []
    by_id = {each.reminder_id: each for each in moved}
    waiting = sorted((by_id.get(each.reminder_id, each) for each in waiting), key=_due)
    lately = _lately(kept, now)
    person = Person(now, call.language, waiting, lately)
    is_reply = request.run.continues is not None
    seed = f"{owner.user_id}\0{owner.subject}\0{run_id}"
    decision = decide(call.text, seed, person, Talk.of(request.run.hint if is_reply else None), is_reply=is_reply)
    changed = {each.reminder_id for each in decision.changes}
    changes = [*decision.changes, *(each for each in moved if each.reminder_id not in changed)]
    await store.put(connection, owner, run_id, changes)
    said = _said(decision, is_reply=is_reply)
    await store.keep_answer(connection, owner, run_id, msgspec.json.encode(said).decode())
    return said


def _said(decision: Decision, *, is_reply: bool) -> _Said:
    hint = decision.talk.noted() if decision.talk is not None else None
    return _Said(decision.said, hint, decision.passes and is_reply)


def _followed(waiting: list[Reminder], now: dt.datetime, before: dt.tzinfo) -> list[Reminder]:
    """What recurs at a wall clock, due at that of the zone that the person is in now.

    What is due already stays, and so does a next time that was moved by itself (snoozed, put off once).
    """
    found = []
    for each in waiting:
        if each.rule is None or each.anchor is None or _due(each) <= now or counts_hours(each.rule):
            continue
        there = next_after(each.rule, each.anchor, before, now)
        here = next_after(each.rule, each.anchor, now.tzinfo or dt.UTC, now)
        if there is not None and there[0] == each.due_at and here is not None and here[0] != each.due_at:
            found.append(replace(each, due_at=here[0]))
    return found


def _now(at_ms: int, timezone: str | None) -> dt.datetime:
    """The message's own time, since "in ten minutes" counts from there; the server's where that is a day off."""
    server = now_in(int(dt.datetime.now(dt.UTC).timestamp() * 1000), timezone)
    assert server is not None, "the server's clock is a date"
    said = now_in(at_ms, timezone)
    return said if said is not None and server - _BELIEVED < said <= server else server


def _known_zone(name: str | None) -> str | None:
    """Of the IANA database; another name changes nothing."""
    try:
        return ZoneInfo(name).key if name else None
    except (KeyError, ValueError, OSError):
        return None


def _due(each: Reminder) -> dt.datetime:
    assert each.due_at is not None, "it waits"
    return each.due_at


def _lately(kept: list[Reminder], now: dt.datetime) -> list[Reminder]:
    """What was said, latest first. What is due is being said, though that may not be noted yet."""
    heard = []
    for each in kept:
        times = [at for at in (each.said_at, each.due_at) if at is not None and at <= now]
        heard += [(max(times), each)] if times else []
    return [each for _, each in sorted(heard, key=lambda found: found[0], reverse=True)]
