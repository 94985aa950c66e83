"""The next message to a person: what goes into it, and what its outcome changes. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.outbound import quota
from uniassist.adapter_wechat.outbound.reply_book import ReplyBook
from uniassist.adapter_wechat.platform.client import SendOutcome
from uniassist.adapter_wechat.platform.codes import Verdict
from uniassist.adapter_wechat.rendering.packing import Packed, Piece, after, pack
from uniassist.store.wechat.people import Due

MAX_BUSY = 5
LEAST_BYTES = 200
LONGEST_PAUSE_SECONDS = 60.0
DETAIL = "customer-service message"


@dataclass(frozen=True)
class Sending:
    """A message under way. What the platform says of windows, it says of `acted` and `spent`.

    paid_from: the window that the message is counted against.
    acted: the person's last act when it was chosen.
    spent: messages that the window has paid, this one included.
    noted_at: when it was noted as under way, or just before that; monotonic clock.
    """

    openid: str
    packed: Packed
    paid_from: quota.Window
    acted: str
    spent: int
    noted_at: float


def choose(book: ReplyBook, limit_bytes: int, *, may_send: bool) -> Sending | None:
    """The next message, noted as under way and paid for; None when there is none. What may not leave is parked."""
    person = book.changes.person
    room = quota.room(person)
    if not may_send or room == 0:
        why = "only passive replies are allowed" if not may_send else "no message is left"
        book.park(book.in_state("waiting"), f"{why} until the person writes")
        return None
    # Parked replies go first while there is room, so that what comes later doesn't overtake them.
    replies = book.in_state("waiting", "parked")
    if not replies:
        return None
    # A message holds one reply while there is room for all of them and one more. Else it holds as many as fit.
    most = 1 if room - len(replies) >= 2 else None
    packed = pack(replies, limit_bytes, most=most, ending=phrases.say("more", book.language) if room == 1 else "")
    paid_from = quota.window(person)
    book.put(replace(each.reply, state="sending", in_flight=each.taken) for each in packed.pieces)
    book.changes.person = quota.spend(person, paid_from)
    spent = quota.spent(book.changes.person, paid_from)
    return Sending(person.openid, packed, paid_from, book.found.acted, spent, time.monotonic())


def record_outcome(
    book: ReplyBook, sending: Sending, outcome: SendOutcome, owner: str, paused_seconds: float
) -> bool:
    """Write down what became of the message. True: go on with this person, whose lease is kept.

    owner: this process's name on its leases.
    paused_seconds: until when the account may send nothing.
    """
    pieces = _still_under_way(book, sending)
    is_ours = book.found.person.lease_owner == owner
    if not pieces:
        book.leave()  # another sender gave the message up, or its outcome is written down already
        return is_ours
    goes_on = _write_down(book, sending, pieces, outcome, paused_seconds) and is_ours
    book.changes.ends_lease = is_ours and not goes_on
    return goes_on


def _write_down(
    book: ReplyBook, sending: Sending, pieces: Sequence[Piece], outcome: SendOutcome, paused_seconds: float
) -> bool:
    match outcome.verdict:
        case Verdict.SENT | Verdict.UNKNOWN:
            _said(book, pieces, outcome)
            return True
        case Verdict.REFUSED:
            return _refused(book, pieces, outcome)
        case Verdict.TOO_LONG:
            return _too_long(book, sending, pieces, outcome)
        case Verdict.WINDOW_OVER | Verdict.QUOTA_USED if _has_acted_since(book, sending):
            _later(book, sending, pieces, 0.0)  # the refusal was of a window that their act has replaced
        case Verdict.WINDOW_OVER | Verdict.QUOTA_USED | Verdict.NOT_PERMITTED:
            _closed(book, sending, pieces, outcome)
        case Verdict.ACCOUNT | Verdict.RATE_LIMITED:
            _later(book, sending, pieces, paused_seconds)
        case Verdict.BUSY if book.changes.person.failures >= MAX_BUSY:
            _closed(book, sending, pieces, outcome)
        case Verdict.BUSY | Verdict.UNSENT | Verdict.STALE_TOKEN:
            failures = book.changes.person.failures + 1
            book.changes.person = replace(book.changes.person, failures=failures)
            _later(book, sending, pieces, min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 8)))
    return False


def _still_under_way(book: ReplyBook, sending: Sending) -> list[Piece]:
    """The message's pieces that nobody gave up meanwhile. A later message of the same reply has other pieces."""
    found = ((piece, book.find(piece.reply.event_id)) for piece in sending.packed.pieces)
    return [
        replace(piece, reply=reply)
        for piece, reply in found
        if reply is not None
        and (reply.state, reply.pieces, reply.in_flight) == ("sending", piece.reply.pieces, piece.taken)
    ]


def _has_acted_since(book: ReplyBook, sending: Sending) -> bool:
    """An act within the same second leaves `acted` as it is, but the count begins anew."""
    spent = quota.spent(book.found.person, sending.paid_from)
    return book.found.acted != sending.acted or spent < sending.spent


def _said(book: ReplyBook, pieces: Sequence[Piece], outcome: SendOutcome) -> None:
    ended: Literal["sent", "unknown"] = "sent" if outcome.verdict is Verdict.SENT else "unknown"
    book.put(after(piece, ended) for piece in pieces)
    book.show_menus(pieces, int(time.time() * 1000))
    book.report([piece.reply for piece in pieces], ended, f"{DETAIL}: {outcome.detail}")
    book.changes.person = replace(book.changes.person, failures=0)


def _refused(book: ReplyBook, pieces: Sequence[Piece], outcome: SendOutcome) -> bool:
    book.put(replace(piece.reply, state="refused", in_flight=0) for piece in pieces)
    book.report([piece.reply for piece in pieces], "refused", outcome.detail)
    return True


def _too_long(book: ReplyBook, sending: Sending, pieces: Sequence[Piece], outcome: SendOutcome) -> bool:
    if len(sending.packed.text.encode()) <= LEAST_BYTES:
        return _refused(book, pieces, outcome)
    _later(book, sending, pieces, 0.0)
    return True


def _later(book: ReplyBook, sending: Sending, pieces: Sequence[Piece], seconds: float) -> None:
    _take_back(book, sending, pieces)
    book.changes.due = Due(seconds)


def _closed(book: ReplyBook, sending: Sending, pieces: Sequence[Piece], outcome: SendOutcome) -> None:
    _take_back(book, sending, pieces)
    if outcome.verdict is Verdict.WINDOW_OVER:
        book.changes.closes_window = True
    if outcome.verdict in (Verdict.WINDOW_OVER, Verdict.QUOTA_USED):
        book.changes.person = quota.used_up(book.changes.person)
    book.park(book.in_state("waiting"), outcome.detail)
    book.changes.person = replace(book.changes.person, failures=0)
    book.changes.due = Due(None)


def _take_back(book: ReplyBook, sending: Sending, pieces: Sequence[Piece]) -> None:
    """The platform did not take the message, so its pieces wait again and nothing is paid."""
    book.put(replace(piece.reply, state="waiting", in_flight=0) for piece in pieces)
    book.changes.person = quota.spend(book.changes.person, sending.paid_from, -1)
