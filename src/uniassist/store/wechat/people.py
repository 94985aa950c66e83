"""What adapter-wechat keeps: people, the platform's pushes, replies on their way, and what became of them.

One snapshot of a person is read, what follows from it is decided without I/O, and one statement writes all of it,
unless somebody else has changed the person meanwhile. Media are in `wechat_media`, the end of it all in
`wechat_erasure`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

import msgspec

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool

MAX_EVENTS = 500
MAX_OPEN = 500

Opens = Literal["message", "event"] | None
State = Literal["waiting", "sending", "sent", "parked", "refused", "unknown"]
Result = Literal["sent", "parked", "refused", "unknown"]


@dataclass(frozen=True)
class PushRecord:
    """A push as the platform last repeated it.

    pushes: how often it came, in all.
    decision: what its number was read as, as `menus.dump_answer` writes it; None before that.
    reply: what it is answered with; empty for silence, None before that.
    age_seconds: since it came first.
    has_menu: whether the person has a menu that it may answer.
    locale: what their newest session is answered in; None before the first.
    """

    pushes: int
    decision: str | None
    reply: str | None
    age_seconds: float
    has_menu: bool
    locale: str | None


@dataclass(frozen=True)
class Person:
    """A person, and how much we may write to them.

    message_age: seconds since their last message; None when there is none, or its window is closed.
    message_sends: customer-service messages since then.
    event_age, event_sends: the same of a follow, a scan or a click.
    menu: what their numbers mean, as `menus.dump` writes it.
    replies: the position of their last reply.
    failures: tries of the message under way that the platform did not take.
    lease_owner: the process that sends to them, or was the last one to.
    is_leased: whether that lease still runs.
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
    """What is new on one of the person's timelines. payload: of an interaction or a domain event."""

    event_id: str
    trace_id: str
    session_id: str
    run_id: str | None
    provider_id: str | None
    seq: int
    payload: str | None
    kind: str = "interaction"


@dataclass(frozen=True)
class Reply:
    """Something to be said to a person.

    position: where it stands among their replies.
    text: what remains to be said of it.
    pieces: messages that were sent of it.
    in_flight: characters of `text` that are being sent.
    choices: what its numbers mean, as `menus.dump_choices` writes it.
    """

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
    """What became of replies, to be told to the gateway. timestamp_ms: Unix milliseconds."""

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
    """When the sender is to look at the person next. in_seconds: None for when something new happens."""

    in_seconds: float | None


@dataclass
class Changes:
    """All that is decided on one snapshot of a person.

    replies: new or changed ones.
    cursors: by session, the `seq` up to which its timeline is used.
    due: None leaves it as it is.
    closes_window: the platform says that the window of their last message is over.
    ends_lease: whoever sends to them is done.
    lease: (owner, seconds) renews the lease of that owner.
    decision, reply: of the snapshot's push; None leaves them as they are.
    """

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
class PersonSnapshot:
    """A person with what there is to say to them, all of one moment.

    version: another one after any change of the person by anyone.
    acted: another text once the person acted again.
    push_key, push: the push that was asked for; None without one.
    held_seconds: for how long a push of theirs may still be answered; 0.0 when one was asked for.
    new_events: in the order in which they are to be said, at most MAX_EVENTS.
    open_replies: those that aren't at their end, by position, at most MAX_OPEN.
    locale: what their newest session is answered in; None before the first.
    """

    version: str
    acted: str
    person: Person
    push_key: str | None
    push: PushRecord | None
    held_seconds: float
    new_events: list[NewEvent]
    open_replies: list[Reply]
    locale: str | None = None


_PERSON, _PUSH = len(fields(Person)), len(fields(PushRecord))
_EVENT_ROWS = msgspec.json.Decoder(list[tuple[str, str, str, str | None, str | None, int, str | None, str]])
_REPLY_ROWS = msgspec.json.Decoder(list[tuple[str, int, str, str, str | None, str, int, int, str | None, State]])


async def read_snapshot(pool: Pool, openid: str, push_key: str | None = None) -> PersonSnapshot | None:
    """None: nobody we know."""
    statement = statements("wechat")["snapshot"]
    asked = statement(openid=openid, push_key=push_key, max_events=MAX_EVENTS, max_replies=MAX_OPEN)
    row = await pool.fetchrow_gathered(openid, *asked, by="openid", timeout=10)
    if row is None:
        return None
    version, acted, *found = row.values()
    person, push = found[:_PERSON], found[_PERSON : _PERSON + _PUSH]
    held, events, replies = found[_PERSON + _PUSH :]
    return PersonSnapshot(
        version,
        acted,
        Person(*person),
        push_key,
        PushRecord(*push) if push[0] is not None else None,
        float(held or 0.0),
        [NewEvent(*each) for each in _EVENT_ROWS.decode(events)] if events else [],
        [Reply(*each) for each in _REPLY_ROWS.decode(replies)] if replies else [],
        push[-1],
    )


async def write_changes(pool: Pool, found: PersonSnapshot, changes: Changes) -> bool:
    """False, and nothing is written, when anything of the person changed since the snapshot."""
    person, replies, reports = changes.person, changes.replies, changes.reports
    owner, lease_seconds = changes.lease or (None, 0.0)
    statement = statements("wechat")["write_changes"]
    arguments = statement(
        openid=person.openid,
        version=found.version,
        message_sends=person.message_sends,
        event_sends=person.event_sends,
        menu=person.menu,
        last_position=person.replies,
        failures=person.failures,
        closes_window=changes.closes_window,
        changes_due=changes.due is not None,
        due_in_seconds=changes.due.in_seconds if changes.due is not None else None,
        ends_lease=changes.ends_lease,
        lease_owner=owner,
        lease_seconds=lease_seconds,
        reply_event_ids=[reply.event_id for reply in replies],
        reply_positions=[str(reply.position) for reply in replies],
        reply_session_ids=[reply.session_id for reply in replies],
        reply_trace_ids=[reply.trace_id for reply in replies],
        reply_run_ids=[reply.run_id for reply in replies],
        reply_texts=[reply.text for reply in replies],
        reply_pieces=[str(reply.pieces) for reply in replies],
        reply_in_flight=[str(reply.in_flight) for reply in replies],
        reply_choices=[reply.choices for reply in replies],
        reply_states=[reply.state for reply in replies],
        cursor_session_ids=list(changes.cursors),
        cursor_seqs=[str(seq) for seq in changes.cursors.values()],
        report_session_ids=[report.session_id for report in reports],
        report_trace_ids=[report.trace_id for report in reports],
        report_run_ids=[report.run_id for report in reports],
        report_event_ids=["\n".join(report.event_ids) for report in reports],
        report_outcomes=[report.outcome for report in reports],
        report_details=[report.detail for report in reports],
        push_key=found.push_key,
        decision=changes.decision,
        push_reply=changes.reply,
    )
    row = await pool.fetchrow_gathered(person.openid, *arguments, by="openid", timeout=10)
    return row is not None and bool(row["is_written"])


async def receive(
    pool: Pool, push_key: str, openid: str, *, hold_seconds: float, acted_at: dt.datetime, opens: Opens
) -> PushRecord | None:
    """Note a push: who acted, what that lets us do, and whether the push was here before. None: they left since."""
    statement = statements("wechat")["receive"]
    asked = statement(push_key=push_key, openid=openid, hold_seconds=hold_seconds, acted_at=acted_at, opens=opens)
    row = await pool.fetchrow_gathered(openid, *asked, by="openid", timeout=5)
    return PushRecord(*list(row.values())[1:]) if row is not None else None


async def let_go(pool: Pool, push_key: str) -> None:
    """The push is answered with silence; whatever comes is the sender's to say."""
    await pool.execute(*statements("wechat")["let_go"](push_key=push_key), timeout=5)


async def is_answered(pool: Pool, openid: str, trace_id: str) -> bool:
    """Whether the person has something new to be told that this trace caused."""
    return bool(await pool.fetchval(*statements("wechat")["answered"](openid=openid, trace_id=trace_id), timeout=5))


async def has_interacted(pool: Pool, openid: str, trace_id: str) -> bool:
    """Whether the gateway has this trace's interaction."""
    statement = statements("wechat")["interacted"]
    return bool(await pool.fetchval(*statement(openid=openid, trace_id=trace_id), timeout=5))


async def mark_due(pool: Pool, event_ids: Sequence[str]) -> int:
    """Marks the people to whom these events have something to say; how many."""
    return _count(await pool.execute(*statements("wechat")["mark_due"](event_ids=event_ids), timeout=10))


async def sweep(pool: Pool, *, longest_pause_seconds: float, longest_account_pause_seconds: float) -> int:
    """Marks everybody to whom something is unsaid, whatever a stream told; how many.

    And whoever waits for longer than they can: after failures, or because the account may send nothing.
    """
    asked = statements("wechat")["sweep"](
        longest=dt.timedelta(seconds=longest_pause_seconds),
        account_longest=dt.timedelta(seconds=longest_account_pause_seconds),
    )
    return _count(await pool.execute(*asked, timeout=60))


async def claim_due(
    pool: Pool, owner: str, *, lease_seconds: float, limit: int, served: Sequence[str] = ()
) -> list[str]:
    """Leases people who are due. Never one of those who are `served` already, whatever their leases say."""
    statement = statements("wechat")["claim_due"]
    asked = statement(owner=owner, lease_seconds=lease_seconds, limit=limit, served=served)
    return [row["openid"] for row in await pool.fetch(*asked, timeout=10)]


async def renew_leases(pool: Pool, owner: str, openids: Sequence[str], *, lease_seconds: float) -> None:
    """Those that are still this owner's, even when they ended meanwhile; none whose row somebody has locked."""
    statement = statements("wechat")["renew_leases"]
    await pool.execute(*statement(owner=owner, openids=openids, lease_seconds=lease_seconds), timeout=5)


async def give_up_lease(pool: Pool, openid: str, owner: str, *, due_in_seconds: float) -> None:
    statement = statements("wechat")["give_up_lease"]
    await pool.execute(*statement(openid=openid, owner=owner, due_in_seconds=due_in_seconds), timeout=5)


async def reports(pool: Pool, limit: int) -> list[Report]:
    rows = await pool.fetch(*statements("wechat")["reports"](limit=limit), timeout=10)
    return [Report(*row.values()) for row in rows]


async def forget_reports(pool: Pool, ids: Sequence[int]) -> set[int]:
    """Which of them were still there: others may forget the same."""
    return {
        row["id"]
        for row in await pool.fetch(
            *statements("wechat")["forget_reports"](ids=[str(each) for each in ids]), timeout=10
        )
    }


async def backlog(pool: Pool) -> dict[State, int]:
    """Replies that are not at their end, by state."""
    return {row["state"]: row["replies"] for row in await pool.fetch(*statements("wechat")["backlog"](), timeout=5)}


async def prune(pool: Pool, limit: int) -> None:
    """Forget pushes after two days, replies after seven or, unsaid, after thirty; `limit` of each at a time."""
    await pool.execute(*statements("wechat")["prune"](limit=limit), timeout=60)


def _count(answer: str) -> int:
    return int(answer.rsplit(" ", 1)[1])
