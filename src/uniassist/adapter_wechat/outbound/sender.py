"""Sends customer-service messages: a person at a time has one message under way, and each outcome is written down.

A message is noted as under way before it leaves. One that is still noted so when its sender is gone may have
arrived, so it is reported as unknown and never repeated.
"""

from __future__ import annotations

import asyncio
import functools
import time

import structlog

from uniassist.adapter_wechat.metrics import ChannelMetrics
from uniassist.adapter_wechat.outbound.account_limits import AccountLimits
from uniassist.adapter_wechat.outbound.next_message import Sending, choose, record_outcome
from uniassist.adapter_wechat.outbound.permission import Permission
from uniassist.adapter_wechat.outbound.reply_book import ReplyBook, revise
from uniassist.adapter_wechat.platform.client import SendOutcome
from uniassist.adapter_wechat.platform.codes import Verdict
from uniassist.errors import ServerFault
from uniassist.lifecycle import Loop, Pauses
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import people as store
from uniassist.store.wechat.people import Due

log = structlog.get_logger()

# A lease is renewed while a message is under way. After a kill, the person waits for as long as it lasts.
LEASE_SECONDS = 10.0
_RENEW_SECONDS = 2.5
# Well before the lease ends, since others may give up what leaves later.
_LEAVES_WITHIN_SECONDS = 5.0
_RECORD_SECONDS = 30.0
MAX_PEOPLE = 16
MAX_MESSAGES = 50
POLL_SECONDS = 0.5


class Sender:
    """Finds people who are due and sends to each of them until nothing is left.

    owner: this process's name on its leases.
    limit_bytes: of a message's text, in UTF-8; the platform's refusals lower it.
    """

    def __init__(
        self, pool: Pool, permission: Permission, metrics: ChannelMetrics, *, owner: str, limit_bytes: int
    ) -> None:
        self._pool = pool
        self._permission = permission
        self._metrics = metrics
        self._owner = owner
        self._limits = AccountLimits(permission, limit_bytes)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._leases = Loop("wechat-leases", self._renew)
        self.loop = Loop("wechat-send", self._run_once)

    def start(self) -> None:
        self._leases.start()
        self.loop.start()

    async def stop(self, deadline_seconds: float) -> None:
        """Take nobody new, and wait for what is under way, at most `deadline_seconds`."""
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
        if self._limits.paused_seconds > 0:
            return min(self._limits.paused_seconds, 1.0)
        free = MAX_PEOPLE - len(self._under_way)
        if free <= 0:
            await asyncio.wait(self._under_way.values(), timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            return 0.0
        served = list(self._under_way)
        people = await store.claim_due(
            self._pool, self._owner, lease_seconds=LEASE_SECONDS, limit=free, served=served
        )
        for openid in people:
            task = asyncio.create_task(self._serve(openid), name=f"wechat-send {openid}")
            self._under_way[openid] = task
            task.add_done_callback(functools.partial(self._ended, openid))
        return 0.0 if len(people) == free else POLL_SECONDS

    def _ended(self, openid: str, task: asyncio.Task[None]) -> None:
        if self._under_way.get(openid) is task:
            del self._under_way[openid]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease ends by itself. Whoever takes it then sees what is under way.
            log.warning("could not serve a person", error=repr(error))

    async def _serve(self, openid: str) -> None:
        for _ in range(MAX_MESSAGES):
            if self._limits.paused_seconds > 0:
                break
            sending = await self._prepare(openid)
            if sending is None:
                return
            outcome = await self._send(sending)
            self._metrics.sends.labels(outcome.verdict.value).inc()
            self._limits.heed(sending.packed.text, outcome)
            if not await self._record(sending, outcome):
                return
        pause = self._limits.paused_seconds
        await store.give_up_lease(self._pool, openid, self._owner, due_in_seconds=pause)

    async def _prepare(self, openid: str) -> Sending | None:
        """The next message, noted as under way. None when there is none now; the lease is then given back."""

        def decide(book: ReplyBook) -> Sending | None:
            if book.found.person.lease_owner != self._owner:
                book.leave()
                return None
            held = book.found.held_seconds
            book.give_up_strays()  # this process has the lease and has no message under way to them
            limit_bytes, may_send = self._limits.limit_bytes, self._permission.may_send
            sending = None if held > 0 else choose(book, limit_bytes, may_send=may_send)
            if sending is None:
                book.changes.ends_lease = True
                book.changes.due = Due(held if held > 0 else None if book.is_all else 0.0)
            else:
                book.changes.lease = (self._owner, LEASE_SECONDS)
            return sending

        return await revise(self._pool, openid, decide)

    async def _send(self, sending: Sending) -> SendOutcome:
        if time.monotonic() - sending.noted_at > _LEAVES_WITHIN_SECONDS:
            return SendOutcome(Verdict.UNSENT, "the adapter stood still before it was sent")
        return await self._permission.send(sending.openid, sending.packed.text)

    async def _record(self, sending: Sending, outcome: SendOutcome) -> bool:
        """Write the outcome down. True: go on with this person.

        While Postgres is away it is tried again, since an outcome that isn't written down becomes `unknown`.
        """

        def decide(book: ReplyBook) -> bool:
            return record_outcome(book, sending, outcome, self._owner, self._limits.paused_seconds)

        ends_at = asyncio.get_running_loop().time() + _RECORD_SECONDS
        pauses = Pauses(0.1, 2.0)
        while True:  # ends: at the latest with an outage at `ends_at`
            try:
                return await revise(self._pool, sending.openid, decide) or False  # None: erased meanwhile
            except ServerFault as error:
                log.warning("can't write down yet what became of a message", error=repr(error))
                if not await pauses.wait(ends_at):
                    raise
