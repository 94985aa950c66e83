"""What people sent, on its way to the gateway and back: a message is one delivery, however often it is pushed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

import structlog

from uniassist.adapter_wechat.gateway_client import is_final
from uniassist.contracts.inputs import IngestAck
from uniassist.errors import Unavailable
from uniassist.web.calling.client import BadStatus, CallFailed

log = structlog.get_logger()

HAND_OVER_SECONDS = 4.0
ANSWER_SECONDS = 15.0  # the platform pushes three times in fifteen seconds; nobody asks after that
_KEPT_SECONDS = 30.0
_MAX_KEPT = 20_000


class Errand(Protocol):
    """Something to hand over to the gateway once, and to wait for the answer to. Deadlines are the loop's time."""

    @property
    def trace_id(self) -> str: ...

    @property
    def openid(self) -> str: ...

    async def hand_over(self, deadline: float) -> IngestAck | None:
        """The acknowledgement, None when the gateway gives none. CallFailed when it wasn't taken."""

    async def finish(self, ack: IngestAck | None, deadline: float) -> bool:
        """True once everything is answered; False at the deadline."""


class Delivery:
    """One errand under way.

    ack: the gateway's acknowledgement, if it gives one.
    taken: the gateway has it.
    finished: it is answered.
    refused: what it is about isn't there any more.
    is_final: the gateway would refuse it each time.
    began: the loop's time.
    """

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.ack: IngestAck | None = None
        self.taken = False
        self.refused = False
        self.is_final = False
        self.finished = False
        self.began = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(), name=errand.trace_id)
        self._task.add_done_callback(_log_bug)

    @property
    def done(self) -> bool:
        return self._task.done()

    @property
    def failed(self) -> bool:
        return self.done and not self.taken

    async def wait(self, deadline: float) -> None:
        """Until it is done, at most until `deadline` (the loop's time); the work goes on regardless."""
        await asyncio.wait([self._task], timeout=max(0.0, deadline - asyncio.get_running_loop().time()))

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            self.ack = await self.errand.hand_over(self.began + HAND_OVER_SECONDS)
        except CallFailed as error:  # logged where it happened
            self.refused = isinstance(error, BadStatus) and error.status in (400, 404)
            self.is_final = is_final(error)
            return
        self.taken = True
        self.finished = await self.errand.finish(self.ack, self.began + ANSWER_SECONDS)


def _log_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a delivery broke", traceId=task.get_name(), exc_info=error)


class Deliveries:
    """The deliveries whose push may still be repeated, by push. After a restart the gateway recognises them.

    There are many at a time, and each is about a hundred objects that a full garbage collection looks at. So none
    is kept once it is answered.
    """

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Delivery] = OrderedDict()

    def join(self, key: str, errand: Errand) -> Delivery:
        """The delivery of this errand, started unless it is there. A failed one is started anew. Unavailable."""
        self._forget_old()
        known = self._by_key.get(key)
        if known is not None and not known.failed:
            return known
        if len(self._by_key) >= _MAX_KEPT:
            raise Unavailable("too many messages are on their way; try again")
        self._by_key.pop(key, None)
        delivery = self._by_key[key] = Delivery(errand)
        return delivery

    def answered(self, key: str) -> None:
        """Its push has its answer, and so has every repetition."""
        known = self._by_key.get(key)
        if known is not None and known.done:
            del self._by_key[key]

    async def cancel(self, openid: str) -> None:
        """What this person has on its way."""
        theirs = [each for each in self._by_key.values() if not each.done and each.errand.openid == openid]
        await asyncio.gather(*(delivery.cancel() for delivery in theirs))

    async def stop(self) -> None:
        """Cancel what is still on its way; the platform's next push starts it again, elsewhere or later."""
        await asyncio.gather(*(delivery.cancel() for delivery in self._by_key.values() if not delivery.done))

    def _forget_old(self) -> None:
        oldest_kept = asyncio.get_running_loop().time() - _KEPT_SECONDS
        while self._by_key:  # ends: they are in the order of their start, and each ends long before it is forgotten
            key, delivery = next(iter(self._by_key.items()))
            has_room = len(self._by_key) < _MAX_KEPT
            if not delivery.done or (has_room and delivery.began >= oldest_kept):
                return
            del self._by_key[key]
