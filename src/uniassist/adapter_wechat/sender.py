"""Customer-service messages: who has something to be told, one message at a time, each outcome written down.

A message is noted as under way before it leaves. Whoever finds one under way that nobody sends any more knows that
it may have arrived: it is reported as unknown and not repeated.
"""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass, replace

import structlog

from uniassist.adapter_wechat import phrases, quota
from uniassist.adapter_wechat.metrics import Metrics
from uniassist.adapter_wechat.packing import Packed, Piece, after, pack
from uniassist.adapter_wechat.permission import Permission
from uniassist.adapter_wechat.platform.client import Outcome
from uniassist.adapter_wechat.platform.codes import Verdict
from uniassist.adapter_wechat.stock import Stock, revise
from uniassist.lifecycle import Loop
from uniassist.store import wechat as store
from uniassist.store.pool import Pool
from uniassist.store.wechat import Due

log = structlog.get_logger()

# Renewed while the message is under way: one of a killed adapter holds its person up for as long as that.
LEASE_SECONDS = 10.0
_RENEW_SECONDS = 2.5
MAX_PEOPLE = 16
MAX_MESSAGES = 50
POLL_SECONDS = 0.5
MAX_BUSY = 5
LEAST_BYTES = 200
_LONGEST_PAUSE_SECONDS = 60.0
DETAIL = "customer-service message"

# For everybody, since it isn't said of one message: 45011 is counted by the minute, 45009 by the day.
_PAUSES = {40164: 60.0, 61004: 60.0, 45011: 60.0, 45009: 900.0}


@dataclass(frozen=True)
class Sending:
    """A message under way."""

    openid: str
    packed: Packed
    paid_from: quota.Window


class Sender:
    """`owner` is this process's name on its leases."""

    def __init__(
        self, pool: Pool, permission: Permission, metrics: Metrics, *, owner: str, limit_bytes: int
    ) -> None:
        self._pool = pool
        self._permission = permission
        self._metrics = metrics
        self._owner = owner
        self._limit_bytes = limit_bytes
        self._paused_until = 0.0
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._leases = Loop("wechat-leases", self._renew)
        self.loop = Loop("wechat-send", self._run_once)

    def start(self) -> None:
        self._leases.start()
        self.loop.start()

    async def stop(self, deadline_seconds: float) -> None:
        """Take nobody new; let what is under way be answered."""
        await self.loop.stop()
        tasks = list(self._under_way.values())
        if tasks:
            await asyncio.wait(tasks, timeout=deadline_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._leases.stop()

    async def _renew(self) -> float:
        if self._under_way:
            await store.renew_leases(self._pool, self._owner, list(self._under_way), lease_seconds=LEASE_SECONDS)
        return _RENEW_SECONDS

    async def _run_once(self) -> float:
        paused = self._paused_until - time.monotonic()
        if paused > 0:
            return min(paused, 1.0)
        free = MAX_PEOPLE - len(self._under_way)
        if free <= 0:
            await asyncio.wait(self._under_way.values(), timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            return 0.0
        people = await store.claim_due(self._pool, self._owner, lease_seconds=LEASE_SECONDS, limit=free)
        for openid in people:
            task = asyncio.create_task(self._serve(openid), name=f"wechat-send {openid}")
            self._under_way[openid] = task
            task.add_done_callback(functools.partial(self._ended, openid))
        return 0.0 if len(people) == free else POLL_SECONDS

    def _ended(self, openid: str, task: asyncio.Task[None]) -> None:
        if self._under_way.get(openid) is task:
            del self._under_way[openid]
        if not task.cancelled() and (error := task.exception()) is not None:
            # its lease ends by itself; whoever takes it then sees what is under way
            log.warning("could not serve a person", error=repr(error))

    async def _serve(self, openid: str) -> None:
        for _ in range(MAX_MESSAGES):
            if self._paused_until > time.monotonic():
                break
            sending = await self._prepare(openid)
            if sending is None:
                return
            outcome = await self._permission.send(openid, sending.packed.text)
            self._metrics.sends.labels(outcome.verdict.value).inc()
            if not await self._settle(sending, outcome):
                return
        pause = max(0.0, self._paused_until - time.monotonic())
        await store.give_up_lease(self._pool, openid, self._owner, due_in_seconds=pause)

    async def _prepare(self, openid: str) -> Sending | None:
        """The next message, noted as under way; None when there is none now, and the lease is given back."""

        def decide(stock: Stock) -> Sending | None:
            if stock.found.person.lease_owner != self._owner:
                stock.leave()
                return None
            held = stock.found.held_seconds
            stock.give_up_strays()  # this process has the lease, and sends none of theirs now
            sending = None if held > 0 else self._next(stock)
            if sending is None:
                stock.changes.ends_lease = True
                stock.changes.due = Due(held if held > 0 else None if stock.is_all else 0.0)
                return None
            stock.put(replace(each.reply, state="sending", in_flight=each.taken) for each in sending.packed.pieces)
            stock.changes.person = quota.spend(stock.changes.person, sending.paid_from)
            stock.changes.lease = (self._owner, LEASE_SECONDS)
            return sending

        return await revise(self._pool, openid, decide)

    def _next(self, stock: Stock) -> Sending | None:
        waiting = stock.in_state("waiting")
        if not waiting:
            return None
        person = stock.changes.person
        room = quota.room(person)
        if not self._permission.may_send or room == 0:
            why = "only passive replies are allowed" if not self._permission.may_send else "no message is left"
            stock.park(waiting, f"{why} until the person writes")
            return None
        # One by one while there is room for all, and for more to come; else as many as go into one.
        most = 1 if room - len(waiting) >= 2 else None
        packed = pack(waiting, self._limit_bytes, most=most, ending=phrases.MORE if room == 1 else "")
        return Sending(person.openid, packed, quota.window(person))

    async def _settle(self, sending: Sending, outcome: Outcome) -> bool:
        """Write down what became of it; whether to go on with this person."""
        self._heed(sending, outcome)

        def decide(stock: Stock) -> bool:
            pieces = _still_under_way(stock, sending)
            is_ours = stock.found.person.lease_owner == self._owner
            if not pieces and not is_ours:
                stock.leave()  # another took it for given up
                return False
            goes_on = self._write_down(stock, sending, pieces, outcome) and is_ours
            stock.changes.ends_lease = is_ours and not goes_on
            return goes_on

        return await revise(self._pool, sending.openid, decide) or False  # erased meanwhile

    def _heed(self, sending: Sending, outcome: Outcome) -> None:
        """What it says of the account, not of this message."""
        match outcome.verdict:
            case Verdict.NOT_PERMITTED:
                self._permission.deny(outcome.detail)
            case Verdict.ACCOUNT | Verdict.RATE_LIMITED:
                self._pause(outcome)
            case Verdict.TOO_LONG:
                size = len(sending.packed.text.encode())
                self._limit_bytes = max(LEAST_BYTES, min(self._limit_bytes, size) * 2 // 3)
                log.warning("the platform takes less; lower WECHAT_TEXT_BYTES", limit_bytes=self._limit_bytes)
            case Verdict.BUSY | Verdict.UNSENT | Verdict.STALE_TOKEN | Verdict.REFUSED:
                log.warning("the platform did not take a message", reason=outcome.detail)

    def _write_down(self, stock: Stock, sending: Sending, pieces: list[Piece], outcome: Outcome) -> bool:
        match outcome.verdict:
            case Verdict.SENT | Verdict.UNKNOWN:
                _said(stock, pieces, outcome)
                return True
            case Verdict.REFUSED:
                return _refused(stock, pieces, outcome)
            case Verdict.TOO_LONG:
                return self._too_long(stock, sending, pieces, outcome)
            case Verdict.WINDOW_OVER | Verdict.QUOTA_USED | Verdict.NOT_PERMITTED:
                self._closed(stock, pieces, outcome)
            case Verdict.ACCOUNT | Verdict.RATE_LIMITED:
                self._later(stock, sending, pieces, self._paused_until - time.monotonic())
            case Verdict.BUSY if stock.changes.person.failures >= MAX_BUSY:
                self._closed(stock, pieces, outcome)
            case Verdict.BUSY | Verdict.UNSENT | Verdict.STALE_TOKEN:
                failures = stock.changes.person.failures + 1
                stock.changes.person = replace(stock.changes.person, failures=failures)
                self._later(stock, sending, pieces, min(_LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 8)))
        return False

    def _later(self, stock: Stock, sending: Sending, pieces: list[Piece], seconds: float) -> None:
        stock.put(replace(piece.reply, state="waiting", in_flight=0) for piece in pieces)
        stock.changes.person = quota.spend(stock.changes.person, sending.paid_from, -1)
        stock.changes.due = Due(seconds)

    def _too_long(self, stock: Stock, sending: Sending, pieces: list[Piece], outcome: Outcome) -> bool:
        if len(sending.packed.text.encode()) <= LEAST_BYTES:
            return _refused(stock, pieces, outcome)
        self._later(stock, sending, pieces, 0.0)
        return True

    def _closed(self, stock: Stock, pieces: list[Piece], outcome: Outcome) -> None:
        if outcome.verdict is Verdict.WINDOW_OVER:
            stock.changes.closes_window = True
        if outcome.verdict in (Verdict.WINDOW_OVER, Verdict.QUOTA_USED):
            stock.changes.person = quota.used_up(stock.changes.person)
        stock.put(replace(piece.reply, state="waiting", in_flight=0) for piece in pieces)
        stock.park(stock.in_state("waiting"), outcome.detail)
        stock.changes.person = replace(stock.changes.person, failures=0)
        stock.changes.due = Due(None)

    def _pause(self, outcome: Outcome) -> None:
        seconds = _PAUSES.get(outcome.code or 0, _LONGEST_PAUSE_SECONDS)
        self._paused_until = time.monotonic() + seconds
        said = (
            "the platform refuses this app or its address; see docs/wechat.md"
            if outcome.verdict is Verdict.ACCOUNT
            else "the platform limits this account's calls"
        )
        log.error(said, reason=outcome.detail, paused_seconds=seconds)


def _still_under_way(stock: Stock, sending: Sending) -> list[Piece]:
    """Of the message's pieces those that nobody gave up meanwhile."""
    found = ((piece, stock.find(piece.reply.event_id)) for piece in sending.packed.pieces)
    return [replace(piece, reply=reply) for piece, reply in found if reply is not None and reply.state == "sending"]


def _said(stock: Stock, pieces: list[Piece], outcome: Outcome) -> None:
    result = "sent" if outcome.verdict is Verdict.SENT else "unknown"
    stock.put(after(piece, "sent" if result == "sent" else "unknown") for piece in pieces)
    stock.show_menus(pieces, int(time.time() * 1000))
    replies = [piece.reply for piece in pieces]
    stock.report(replies, "sent" if result == "sent" else "unknown", f"{DETAIL}: {outcome.detail}")
    stock.changes.person = replace(stock.changes.person, failures=0)


def _refused(stock: Stock, pieces: list[Piece], outcome: Outcome) -> bool:
    stock.put(replace(piece.reply, state="refused", in_flight=0) for piece in pieces)
    stock.report([piece.reply for piece in pieces], "refused", outcome.detail)
    return True
