"""What adapter-wechat keeps: people, the platform's pushes, replies on their way, and what became of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

import msgspec

from uniassist.store.pool import Pool
from uniassist.store.queries import load

MAX_EVENTS = 500
MAX_OPEN = 500

Opens = Literal["message", "event"] | None
State = Literal["waiting", "sending", "sent", "parked", "refused", "unknown"]
Result = Literal["sent", "parked", "refused", "unknown"]


@dataclass(frozen=True)
class Push:
    """A push as the platform last repeated it. `reply` None: not answered yet; empty: answered with silence."""

    pushes: int
    decision: str | None
    reply: str | None
    age_seconds: float


@dataclass(frozen=True)
class Person:
    """`message_age`, `event_age`: seconds since what lets us write to them; None: never, or used up for good.

    `is_leased`: somebody alive sends to them, or did a few seconds ago.
    """

    openid: str
    message_age: float | None
    message_sends: int
    event_age: float | None
    event_sends: int
    menu: str | None
    replies: int
    failures: int
    lease_owner: str | None
    is_leased: bool


@dataclass(frozen=True)
class NewEvent:
    """An event of one of the person's timelines that is no reply yet. `payload` None: not an interaction."""

    event_id: str
    trace_id: str
    session_id: str
    run_id: str | None
    provider_id: str | None
    seq: int
    payload: str | None


@dataclass(frozen=True)
class Reply:
    """`text` is what remains to be said of it, `in_flight` how many of its characters are being sent."""

    event_id: str
    position: int
    session_id: str
    trace_id: str
    run_id: str | None
    text: str
    pieces: int
    in_flight: int
    choices: str | None
    state: State


@dataclass(frozen=True)
class NewReport:
    session_id: str
    trace_id: str
    run_id: str | None
    event_ids: tuple[str, ...]
    outcome: Result
    detail: str


@dataclass(frozen=True)
class Report:
    id: int
    openid: str
    session_id: str
    trace_id: str
    run_id: str | None
    event_ids: list[str]
    outcome: Result
    detail: str
    timestamp_ms: int


@dataclass(frozen=True)
class Due:
    """When the sender is to look at the person next; None: when something new happens."""

    in_seconds: float | None


@dataclass
class Changes:
    """All that one look at a person changes, written at once. `lease`: (owner, seconds), renewed for that owner."""

    person: Person
    replies: list[Reply] = field(default_factory=list)
    cursors: Mapping[str, int] = field(default_factory=dict)
    reports: list[NewReport] = field(default_factory=list)
    due: Due | None = None
    closes_window: bool = False
    ends_lease: bool = False
    lease: tuple[str, float] | None = None
    decision: str | None = None
    reply: str | None = None


@dataclass(frozen=True)
class Medium:
    openid: str
    media_id: str
    name: str
    mime: str | None
    size: int | None
    sha256: str | None
    state: Literal["waiting", "stored", "lost"]
    attempts: int


@dataclass(frozen=True)
class Look:
    """A person as they were found. `new_events`: in the order in which they are to be said, at most MAX_EVENTS.

    `acted`: another text once they acted again. `push`: the one that was asked for. `held_seconds`: for how long a
    push of theirs may still be answered, looked up when none was asked for.
    """

    version: str
    acted: str
    person: Person
    push_key: str | None
    push: Push | None
    held_seconds: float
    new_events: list[NewEvent]
    open_replies: list[Reply]


_PERSON, _PUSH = len(fields(Person)), len(fields(Push))
_EVENT_ROWS = msgspec.json.Decoder(list[tuple[str, str, str, str | None, str | None, int, str | None]])
_REPLY_ROWS = msgspec.json.Decoder(list[tuple[str, int, str, str, str | None, str, int, int, str | None, State]])


async def look(pool: Pool, openid: str, push_key: str | None = None) -> Look | None:
    """None: nobody we know."""
    row = await pool.fetchrow(load("wechat")["look"], openid, push_key, MAX_EVENTS, MAX_OPEN, timeout=10)
    if row is None:
        return None
    version, acted, *found = row.values()
    person, push, (held, events, replies) = (
        found[:_PERSON],
        found[_PERSON : _PERSON + _PUSH],
        found[_PERSON + _PUSH :],
    )
    return Look(
        version,
        acted,
        Person(*person),
        push_key,
        Push(*push) if push[0] is not None else None,
        float(held or 0.0),
        [NewEvent(*each) for each in _EVENT_ROWS.decode(events)] if events else [],
        [Reply(*each) for each in _REPLY_ROWS.decode(replies)] if replies else [],
    )


async def write(pool: Pool, found: Look, changes: Changes) -> bool:
    """False, and nothing is written, when anything of the person changed since they were looked at."""
    person, replies, reports = changes.person, changes.replies, changes.reports
    owner, lease_seconds = changes.lease or (None, 0.0)
    return bool(
        await pool.fetchval(
            load("wechat")["write"],
            person.openid,
            person.message_sends,
            person.event_sends,
            person.menu,
            person.replies,
            person.failures,
            changes.due is not None,
            changes.due.in_seconds if changes.due is not None else None,
            [reply.event_id for reply in replies],
            [reply.position for reply in replies],
            [reply.session_id for reply in replies],
            [reply.trace_id for reply in replies],
            [reply.run_id for reply in replies],
            [reply.text for reply in replies],
            [reply.pieces for reply in replies],
            [reply.in_flight for reply in replies],
            [reply.choices for reply in replies],
            [reply.state for reply in replies],
            list(changes.cursors),
            list(changes.cursors.values()),
            [report.session_id for report in reports],
            [report.trace_id for report in reports],
            [report.run_id for report in reports],
            ["\n".join(report.event_ids) for report in reports],
            [report.outcome for report in reports],
            [report.detail for report in reports],
            found.push_key,
            changes.decision,
            changes.reply,
            changes.closes_window,
            changes.ends_lease,
            owner,
            lease_seconds,
            found.version,
            timeout=10,
        )
    )


async def receive(
    pool: Pool, push_key: str, openid: str, *, hold_seconds: float, acted_at: dt.datetime, opens: Opens
) -> Push | None:
    """Note a push: who acted, what that lets us do, and whether it was here before. None: they left after that."""
    row = await pool.fetchrow(load("wechat")["receive"], push_key, openid, hold_seconds, acted_at, opens, timeout=5)
    return Push(**dict(row)) if row is not None else None


async def let_go(pool: Pool, push_key: str) -> None:
    """The push is answered with silence; whatever comes is the sender's."""
    await pool.execute(load("wechat")["let_go"], push_key, timeout=5)


async def is_answered(pool: Pool, openid: str, trace_id: str) -> bool:
    return bool(await pool.fetchval(load("wechat")["answered"], openid, trace_id, timeout=5))


async def has_interacted(pool: Pool, openid: str, trace_id: str) -> bool:
    return bool(await pool.fetchval(load("wechat")["interacted"], openid, trace_id, timeout=5))


async def mark_due(pool: Pool, event_ids: Sequence[str]) -> int:
    """People to whom these events have something to say; how many."""
    return _count(await pool.execute(load("wechat")["mark_due"], event_ids, timeout=10))


async def sweep(pool: Pool) -> int:
    """Everybody to whom something is unsaid, whatever a stream told; how many."""
    return _count(await pool.execute(load("wechat")["sweep"], timeout=60))


async def claim_due(
    pool: Pool, owner: str, *, lease_seconds: float, limit: int, served: Sequence[str] = ()
) -> list[str]:
    """None of those who are `served` already, whatever their leases say."""
    rows = await pool.fetch(load("wechat")["claim_due"], owner, lease_seconds, limit, served, timeout=10)
    return [row["openid"] for row in rows]


async def renew_leases(pool: Pool, owner: str, openids: Sequence[str], *, lease_seconds: float) -> None:
    """Those that are still this owner's, even when they ended meanwhile; none whose row somebody has locked."""
    await pool.execute(load("wechat")["renew_leases"], owner, openids, lease_seconds, timeout=5)


async def give_up_lease(pool: Pool, openid: str, owner: str, *, due_in_seconds: float) -> None:
    await pool.execute(load("wechat")["give_up_lease"], openid, owner, due_in_seconds, timeout=5)


async def reports(pool: Pool, limit: int) -> list[Report]:
    return [Report(*row.values()) for row in await pool.fetch(load("wechat")["reports"], limit, timeout=10)]


async def forget_reports(pool: Pool, ids: Sequence[int]) -> set[int]:
    """Which of them were still there: others may forget the same."""
    return {row["id"] for row in await pool.fetch(load("wechat")["forget_reports"], ids, timeout=10)}


async def backlog(pool: Pool) -> dict[State, int]:
    """Replies that are not at their end, by state."""
    return {row["state"]: row["replies"] for row in await pool.fetch(load("wechat")["backlog"], timeout=5)}


async def prune(pool: Pool, limit: int) -> None:
    await pool.execute(load("wechat")["prune"], limit, timeout=60)


async def add_medium(pool: Pool, openid: str, media_id: str, name: str) -> None:
    await pool.execute(load("wechat")["add_medium"], openid, media_id, name, timeout=5)


async def medium(pool: Pool, openid: str, media_id: str) -> Medium | None:
    row = await pool.fetchrow(load("wechat")["medium"], openid, media_id, timeout=5)
    return Medium(**dict(row)) if row is not None else None


async def claim_medium(pool: Pool, openid: str, media_id: str, *, lease_seconds: float) -> Medium | None:
    """For whoever fetches it; None while somebody else does, and once it is fetched."""
    row = await pool.fetchrow(load("wechat")["claim_medium"], openid, media_id, lease_seconds, timeout=5)
    return Medium(**dict(row)) if row is not None else None


async def claim_media(pool: Pool, *, lease_seconds: float, limit: int) -> list[Medium]:
    rows = await pool.fetch(load("wechat")["claim_media"], lease_seconds, limit, timeout=10)
    return [Medium(**dict(row)) for row in rows]


async def store_medium(pool: Pool, found: Medium, *, mime: str, size: int, sha256: str) -> bool:
    """False when it isn't wanted any more."""
    arguments = (found.openid, found.media_id, mime, size, sha256)
    return _count(await pool.execute(load("wechat")["store_medium"], *arguments, timeout=5)) == 1


async def lose_medium(pool: Pool, found: Medium) -> None:
    await pool.execute(load("wechat")["lose_medium"], found.openid, found.media_id, timeout=5)


async def claim_old_media(pool: Pool, *, days: int, lease_seconds: float, limit: int) -> list[Medium]:
    """For whoever deletes them; nothing of a person for whom something is being worked on."""
    rows = await pool.fetch(load("wechat")["claim_old_media"], days, lease_seconds, limit, timeout=30)
    return [Medium(**dict(row)) for row in rows]


async def forget_media(pool: Pool, gone: Sequence[Medium]) -> None:
    openids, media_ids = [each.openid for each in gone], [each.media_id for each in gone]
    await pool.execute(load("wechat")["forget_media"], openids, media_ids, timeout=10)


async def add_left_media(pool: Pool, names: Sequence[str]) -> None:
    """Files of people who left: still to be removed."""
    await pool.execute(load("wechat")["add_left_media"], names, timeout=5)


async def left_media(pool: Pool, limit: int) -> list[str]:
    return [row["name"] for row in await pool.fetch(load("wechat")["left_media"], limit, timeout=10)]


async def forget_left_media(pool: Pool, names: Sequence[str]) -> None:
    """Their files are removed."""
    await pool.execute(load("wechat")["forget_left_media"], names, timeout=10)


@dataclass(frozen=True)
class Erased:
    """What is left to remove elsewhere: files by name, `left_media` until they are; streams by session."""

    media: list[str]
    session_ids: list[str]


async def erase(pool: Pool, openid: str, left_at: dt.datetime) -> Erased | None:
    """Everything that `openid` said and was told, on the gateway's side too; timelines keep their numbering.

    None: this is known, or they have come back since. What they did until `left_at` isn't received any more.
    """
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        sessions = await connection.fetch(load("wechat")["erase_lock"], openid)
        if await connection.fetchrow(load("wechat")["leave"], openid, left_at) is None:
            return None
        media = await connection.fetch(load("wechat")["erase_person"], openid)
        await connection.execute(load("wechat")["erase_runs"], openid)
        await connection.execute(load("wechat")["erase_timeline"], openid)
        await connection.execute(load("wechat")["erase_traces"], openid)
    return Erased([row["name"] for row in media], [row["session_id"] for row in sessions])


def _count(answer: str) -> int:
    return int(answer.rsplit(" ", 1)[1])
