"""What goes into a message, and what its outcome changes: nothing overtaken, nothing said of another message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from uniassist.adapter_wechat.outbound.account_limits import AccountLimits
from uniassist.adapter_wechat.outbound.next_message import LEAST_BYTES, MAX_BUSY, Sending, choose, record_outcome
from uniassist.adapter_wechat.outbound.permission import Permission
from uniassist.adapter_wechat.outbound.reply_book import ReplyBook, book_of
from uniassist.adapter_wechat.platform.client import SendOutcome
from uniassist.adapter_wechat.platform.codes import Verdict
from uniassist.store.wechat.people import Due, Person, PersonSnapshot, Reply, State

ME = "me"
BUSY = SendOutcome(Verdict.BUSY, "errcode -1", -1)
OVER = SendOutcome(Verdict.WINDOW_OVER, "errcode 45015", 45015)
USED = SendOutcome(Verdict.QUOTA_USED, "errcode 45047", 45047)
SENT = SendOutcome(Verdict.SENT, "ok", 0)


def reply(position: int, state: State, text: str = "好") -> Reply:
    return Reply(f"e{position}", position, "s", "t", None, text, 0, 0, None, state)


def snapshot(*replies: Reply, acted: str = "first", owner: str = ME, **person: Any) -> PersonSnapshot:
    known = Person("o", 1.0, 0, None, 0, None, 0, 0, owner, True)
    return PersonSnapshot("1", acted, replace(known, **person), None, None, 0.0, [], list(replies))


def chosen(found: PersonSnapshot, limit_bytes: int = 1800) -> tuple[ReplyBook, Sending]:
    book = book_of(found)
    sending = choose(book, limit_bytes, may_send=True)
    assert sending is not None
    return book, sending


def later(book: ReplyBook, **changed: Any) -> PersonSnapshot:
    """The person as whoever records the outcome finds them, when `changed` happened meanwhile."""
    replies = tuple(book.in_state("waiting", "sending", "parked"))
    found = replace(book.found, person=book.changes.person, open_replies=list(replies))
    person = {name: changed.pop(name) for name in list(changed) if hasattr(found.person, name)}
    return replace(found, person=replace(found.person, **person), **changed)


def recorded(found: PersonSnapshot, sending: Sending, outcome: SendOutcome) -> tuple[ReplyBook, bool]:
    book = book_of(found)
    goes_on = record_outcome(book, sending, outcome, ME, 0.0)
    return book, goes_on


def states(book: ReplyBook) -> dict[str, State]:
    return {each.event_id: each.state for each in book.in_state("waiting", "sending", "parked", "sent", "refused")}


def test_what_was_parked_is_said_before_what_comes_later() -> None:
    _, sending = chosen(snapshot(reply(1, "parked", "第一条"), reply(2, "waiting", "第二条")))
    assert sending.packed.text == "第一条"


@pytest.mark.parametrize(("may_send", "message_sends"), [(False, 0), (True, 5)])
def test_without_permission_or_room_what_waits_is_parked_and_reported_once(
    may_send: bool, message_sends: int
) -> None:
    book = book_of(snapshot(reply(1, "parked"), reply(2, "waiting"), message_sends=message_sends))
    assert choose(book, 1800, may_send=may_send) is None
    assert states(book) == {"e1": "parked", "e2": "parked"}
    assert [each.event_ids for each in book.changes.reports] == [("e2",)]


@pytest.mark.parametrize("outcome", [BUSY, SendOutcome(Verdict.NOT_PERMITTED, "errcode 48001", 48001)])
def test_a_message_that_the_platform_did_not_take_costs_nothing_when_it_is_parked(outcome: SendOutcome) -> None:
    before, sending = chosen(snapshot(reply(1, "waiting"), message_sends=2, failures=MAX_BUSY))
    assert before.changes.person.message_sends == 3
    book, goes_on = recorded(later(before), sending, outcome)
    assert not goes_on
    assert states(book) == {"e1": "parked"}
    assert book.changes.person.message_sends == 2
    assert (book.changes.due, book.changes.closes_window) == (Due(None), False)


@pytest.mark.parametrize("outcome", [OVER, USED])
def test_a_refusal_closes_the_window_that_it_was_said_of(outcome: SendOutcome) -> None:
    before, sending = chosen(snapshot(reply(1, "waiting")))
    book, _ = recorded(later(before), sending, outcome)
    assert states(book) == {"e1": "parked"}
    assert book.changes.person.message_sends == 5
    assert book.changes.closes_window == (outcome is OVER)


@pytest.mark.parametrize("outcome", [OVER, USED])
@pytest.mark.parametrize("acted", ["second", "first"])  # the same: within the same second
def test_a_refusal_leaves_the_window_open_that_the_person_opened_meanwhile(
    outcome: SendOutcome, acted: str
) -> None:
    before, sending = chosen(snapshot(reply(1, "waiting"), message_sends=3))
    book, goes_on = recorded(later(before, acted=acted, message_sends=0), sending, outcome)
    assert not goes_on
    assert states(book) == {"e1": "waiting"}
    assert book.changes.person.message_sends == 0
    assert (book.changes.due, book.changes.closes_window, book.changes.reports) == (Due(0.0), False, [])


def test_an_outcome_that_comes_late_is_not_taken_for_that_of_the_next_piece() -> None:
    first, sending = chosen(snapshot(reply(1, "waiting", "这是一句话。" * 100)), limit_bytes=600)
    given_up = book_of(later(first, lease_owner="other"))
    given_up.give_up_strays()
    second, successor = chosen(later(given_up), limit_bytes=600)
    assert successor.packed.text != sending.packed.text
    book, goes_on = recorded(later(second, lease_owner="other"), sending, SENT)
    assert (book.is_left, goes_on) == (True, False)
    book, goes_on = recorded(later(second), successor, SENT)
    assert [each.pieces for each in book.in_state("waiting")] == [2]


def test_what_is_written_down_already_changes_nothing_when_it_is_written_again() -> None:
    before, sending = chosen(snapshot(reply(1, "waiting", "长" * 300), message_sends=2))
    too_long = SendOutcome(Verdict.TOO_LONG, "errcode 45002", 45002)
    once, goes_on = recorded(later(before), sending, too_long)
    assert (goes_on, once.changes.person.message_sends) == (True, 2)
    twice, goes_on = recorded(later(once), sending, too_long)
    assert (goes_on, twice.is_left) == (True, True)


@pytest.mark.parametrize("outcome", [SENT, SendOutcome(Verdict.UNKNOWN, "ServerDisconnected")])
def test_what_was_said_or_may_have_been_ends_at_once_and_counts_no_failure_any_more(outcome: SendOutcome) -> None:
    before, sending = chosen(snapshot(reply(1, "waiting"), failures=3))
    book, goes_on = recorded(later(before), sending, outcome)
    ended: State = "sent" if outcome is SENT else "unknown"
    assert (goes_on, [each.event_id for each in book.in_state(ended)]) == (True, ["e1"])
    assert [(each.event_ids, each.outcome) for each in book.changes.reports] == [(("e1",), ended)]
    assert (book.changes.person.failures, book.changes.person.message_sends) == (0, 1)


def limits(limit_bytes: int = 1800) -> AccountLimits:
    return AccountLimits(Permission(None), limit_bytes)


def test_several_messages_that_are_too_long_at_once_shorten_the_next_ones_once() -> None:
    of = limits()
    too_long = SendOutcome(Verdict.TOO_LONG, "errcode 45002", 45002)
    for _ in range(5):
        of.heed("a" * 1800, too_long)
    assert of.limit_bytes == 1200
    of.heed("a" * 210, too_long)
    assert of.limit_bytes == LEAST_BYTES


def test_a_pause_is_not_shortened_by_another() -> None:
    of = limits()
    of.heed("", SendOutcome(Verdict.RATE_LIMITED, "errcode 45009", 45009))
    of.heed("", SendOutcome(Verdict.RATE_LIMITED, "errcode 45011", 45011))
    assert of.paused_seconds > 800
