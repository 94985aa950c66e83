"""Customer-service messages: who has something to be told, one message at a time, each outcome written down.

A message is noted as under way before it leaves. Whoever finds one under way that nobody sends any more knows that
it may have arrived: it is reported as unknown and not repeated.
"""

from __future__ import annotations

import asyncio
import functools
import time

import structlog

from uniassist.adapter_wechat.metrics import Metrics
from uniassist.adapter_wechat.outage import OUTAGE
from uniassist.adapter_wechat.permission import Permission
from uniassist.adapter_wechat.platform.client import Outcome
from uniassist.adapter_wechat.platform.codes import Verdict
from uniassist.adapter_wechat.restraint import Restraint
from uniassist.adapter_wechat.sending import Sending, choose, settle
from uniassist.adapter_wechat.stock import Stock, revise
from uniassist.lifecycle import Loop, Pauses
from uniassist.store import wechat as store
from uniassist.store.pool import Pool
from uniassist.store.wechat import Due

log = structlog.get_logger()

# Renewed while the message is under way: one of a killed adapter holds its person up for as long as that.
LEASE_SECONDS = 10.0
_RENEW_SECONDS = 2.5
# Well before the lease ends: what leaves later might already be given up by others.
_LEAVES_WITHIN_SECONDS = 5.0
_SETTLE_SECONDS = 30.0
MAX_PEOPLE = 16
MAX_MESSAGES = 50
POLL_SECONDS = 0.5


class Sender:
    """`owner` is this process's name on its leases."""

    def __init__(
        self, pool: Pool, permission: Permission, metrics: Metrics, *, owner: str, limit_bytes: int
    ) -> None:
        self._pool = pool
        self._permission = permission
        self._metrics = metrics
        self._owner = owner
        self._restraint = Restraint(permission, limit_bytes)
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
        if self._restraint.paused_seconds > 0:
            return min(self._restraint.paused_seconds, 1.0)
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
            # its lease ends by itself; whoever takes it then sees what is under way
            log.warning("could not serve a person", error=repr(error))

    async def _serve(self, openid: str) -> None:
        for _ in range(MAX_MESSAGES):
            if self._restraint.paused_seconds > 0:
                break
            sending = await self._prepare(openid)
            if sending is None:
                return
            outcome = await self._send(sending)
            self._metrics.sends.labels(outcome.verdict.value).inc()
            self._restraint.heed(sending.packed.text, outcome)
            if not await self._settle(sending, outcome):
                return
        pause = self._restraint.paused_seconds
        await store.give_up_lease(self._pool, openid, self._owner, due_in_seconds=pause)

    async def _prepare(self, openid: str) -> Sending | None:
        """The next message, noted as under way; None when there is none now, and the lease is given back."""

        def decide(stock: Stock) -> Sending | None:
            if stock.found.person.lease_owner != self._owner:
                stock.leave()
                return None
            held = stock.found.held_seconds
            stock.give_up_strays()  # this process has the lease, and sends none of theirs now
            limit_bytes, may_send = self._restraint.limit_bytes, self._permission.may_send
            sending = None if held > 0 else choose(stock, limit_bytes, may_send=may_send)
            if sending is None:
                stock.changes.ends_lease = True
                stock.changes.due = Due(held if held > 0 else None if stock.is_all else 0.0)
            else:
                stock.changes.lease = (self._owner, LEASE_SECONDS)
            return sending

        return await revise(self._pool, openid, decide)

    async def _send(self, sending: Sending) -> Outcome:
        if time.monotonic() - sending.noted_at > _LEAVES_WITHIN_SECONDS:
            return Outcome(Verdict.UNSENT, "the adapter stood still before it was sent")
        return await self._permission.send(sending.openid, sending.packed.text)

    async def _settle(self, sending: Sending, outcome: Outcome) -> bool:
        """Whether to go on with this person. Tried on while Postgres is away, lest what is known become a doubt."""

        def decide(stock: Stock) -> bool:
            return settle(stock, sending, outcome, self._owner, self._restraint.paused_seconds)

        ends_at = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        pauses = Pauses(0.1, 2.0)
        while True:  # ends: at the latest with an outage at `ends_at`
            try:
                return await revise(self._pool, sending.openid, decide) or False  # None: erased meanwhile
            except OUTAGE as error:
                log.warning("can't write down yet what became of a message", error=repr(error))
                if not await pauses.wait(ends_at):
                    raise
