"""One message to a person: what goes into it, and what is written down of it once the platform said. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from uniassist.adapter_wechat import phrases, quota
from uniassist.adapter_wechat.packing import Packed, Piece, after, pack
from uniassist.adapter_wechat.platform.client import Outcome
from uniassist.adapter_wechat.platform.codes import Verdict
from uniassist.adapter_wechat.stock import Stock
from uniassist.store.wechat import Due

MAX_BUSY = 5
LEAST_BYTES = 200
LONGEST_PAUSE_SECONDS = 60.0
DETAIL = "customer-service message"


@dataclass(frozen=True)
class Sending:
    """A message under way. `noted_at`: on the monotonic clock, before it was noted.

    `acted`, `spent`: the person's last act, and how much of the window that paid was spent with this message. What
    the platform says of windows is said of these.
    """

    openid: str
    packed: Packed
    paid_from: quota.Window
    acted: str
    spent: int
    noted_at: float


def choose(stock: Stock, limit_bytes: int, *, may_send: bool) -> Sending | None:
    """The next message, noted as under way and paid for. None when there is none; what may not leave is parked."""
    person = stock.changes.person
    room = quota.room(person)
    if not may_send or room == 0:
        why = "only passive replies are allowed" if not may_send else "no message is left"
        stock.park(stock.in_state("waiting"), f"{why} until the person writes")
        return None
    # Parked ones too, while there is room: what comes later doesn't overtake them.
    replies = stock.in_state("waiting", "parked")
    if not replies:
        return None
    # One by one while there is room for all, and for more to come; else as many as go into one.
    most = 1 if room - len(replies) >= 2 else None
    packed = pack(replies, limit_bytes, most=most, ending=phrases.MORE if room == 1 else "")
    paid_from = quota.window(person)
    stock.put(replace(each.reply, state="sending", in_flight=each.taken) for each in packed.pieces)
    stock.changes.person = quota.spend(person, paid_from)
    spent = quota.spent(stock.changes.person, paid_from)
    return Sending(person.openid, packed, paid_from, stock.found.acted, spent, time.monotonic())


def settle(stock: Stock, sending: Sending, outcome: Outcome, owner: str, paused_seconds: float) -> bool:
    """Write down what became of it; whether to go on with this person, whose lease is kept then."""
    pieces = _still_under_way(stock, sending)
    is_ours = stock.found.person.lease_owner == owner
    if not pieces:
        stock.leave()  # somebody took it for given up, or all this is written down already
        return is_ours
    goes_on = _write_down(stock, sending, pieces, outcome, paused_seconds) and is_ours
    stock.changes.ends_lease = is_ours and not goes_on
    return goes_on


def _write_down(
    stock: Stock, sending: Sending, pieces: Sequence[Piece], outcome: Outcome, paused_seconds: float
) -> bool:
    match outcome.verdict:
        case Verdict.SENT | Verdict.UNKNOWN:
            _said(stock, pieces, outcome)
            return True
        case Verdict.REFUSED:
            return _refused(stock, pieces, outcome)
        case Verdict.TOO_LONG:
            return _too_long(stock, sending, pieces, outcome)
        case Verdict.WINDOW_OVER | Verdict.QUOTA_USED if _has_acted_since(stock, sending):
            _later(stock, sending, pieces, 0.0)  # the window that was refused isn't theirs any more
        case Verdict.WINDOW_OVER | Verdict.QUOTA_USED | Verdict.NOT_PERMITTED:
            _closed(stock, sending, pieces, outcome)
        case Verdict.ACCOUNT | Verdict.RATE_LIMITED:
            _later(stock, sending, pieces, paused_seconds)
        case Verdict.BUSY if stock.changes.person.failures >= MAX_BUSY:
            _closed(stock, sending, pieces, outcome)
        case Verdict.BUSY | Verdict.UNSENT | Verdict.STALE_TOKEN:
            failures = stock.changes.person.failures + 1
            stock.changes.person = replace(stock.changes.person, failures=failures)
            _later(stock, sending, pieces, min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 8)))
    return False


def _still_under_way(stock: Stock, sending: Sending) -> list[Piece]:
    """Of the message's pieces those that nobody gave up meanwhile: a later message of the same reply is another."""
    found = ((piece, stock.find(piece.reply.event_id)) for piece in sending.packed.pieces)
    return [
        replace(piece, reply=reply)
        for piece, reply in found
        if reply is not None
        and (reply.state, reply.pieces, reply.in_flight) == ("sending", piece.reply.pieces, piece.taken)
    ]


def _has_acted_since(stock: Stock, sending: Sending) -> bool:
    """An act within the same second shows in the count only, which begins anew."""
    spent = quota.spent(stock.found.person, sending.paid_from)
    return stock.found.acted != sending.acted or spent < sending.spent


def _said(stock: Stock, pieces: Sequence[Piece], outcome: Outcome) -> None:
    ended: Literal["sent", "unknown"] = "sent" if outcome.verdict is Verdict.SENT else "unknown"
    stock.put(after(piece, ended) for piece in pieces)
    stock.show_menus(pieces, int(time.time() * 1000))
    stock.report([piece.reply for piece in pieces], ended, f"{DETAIL}: {outcome.detail}")
    stock.changes.person = replace(stock.changes.person, failures=0)


def _refused(stock: Stock, pieces: Sequence[Piece], outcome: Outcome) -> bool:
    stock.put(replace(piece.reply, state="refused", in_flight=0) for piece in pieces)
    stock.report([piece.reply for piece in pieces], "refused", outcome.detail)
    return True


def _too_long(stock: Stock, sending: Sending, pieces: Sequence[Piece], outcome: Outcome) -> bool:
    if len(sending.packed.text.encode()) <= LEAST_BYTES:
        return _refused(stock, pieces, outcome)
    _later(stock, sending, pieces, 0.0)
    return True


def _later(stock: Stock, sending: Sending, pieces: Sequence[Piece], seconds: float) -> None:
    _take_back(stock, sending, pieces)
    stock.changes.due = Due(seconds)


def _closed(stock: Stock, sending: Sending, pieces: Sequence[Piece], outcome: Outcome) -> None:
    _take_back(stock, sending, pieces)
    if outcome.verdict is Verdict.WINDOW_OVER:
        stock.changes.closes_window = True
    if outcome.verdict in (Verdict.WINDOW_OVER, Verdict.QUOTA_USED):
        stock.changes.person = quota.used_up(stock.changes.person)
    stock.park(stock.in_state("waiting"), outcome.detail)
    stock.changes.person = replace(stock.changes.person, failures=0)
    stock.changes.due = Due(None)


def _take_back(stock: Stock, sending: Sending, pieces: Sequence[Piece]) -> None:
    """It wasn't taken: it waits again, and costs nothing."""
    stock.put(replace(piece.reply, state="waiting", in_flight=0) for piece in pieces)
    stock.changes.person = quota.spend(stock.changes.person, sending.paid_from, -1)
