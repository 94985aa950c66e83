"""Messages on their way to the gateway and back: one piece of work for each, however often it is pushed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import structlog

from uniassist.adapter_wechat.gateway import Gateway
from uniassist.contracts.inputs import IngestAck, UnifiedUserInput
from uniassist.contracts.interaction import InteractionEvent
from uniassist.errors import Unavailable
from uniassist.web.client import CallFailed

log = structlog.get_logger()

INGEST_SECONDS = 4.0
ANSWER_SECONDS = 14.0  # the platform pushes three times in fifteen seconds; nobody asks after that
_KEPT_SECONDS = 60.0
_MAX_KEPT = 20_000


class Delivery:
    """One message. `ack` is set once the gateway has it, `answers` once its runs have answered."""

    def __init__(self, gateway: Gateway, message: UnifiedUserInput) -> None:
        self.message = message
        self.ack: IngestAck | None = None
        self.answers: Sequence[InteractionEvent] | None = None
        self.began = asyncio.get_running_loop().time()
        self._gateway = gateway
        self._task = asyncio.create_task(self._run(), name=message.trace_id)
        self._task.add_done_callback(_log_bug)

    @property
    def done(self) -> bool:
        return self._task.done()

    @property
    def failed(self) -> bool:
        return self.done and self.ack is None

    async def wait(self, deadline: float) -> None:
        """Until it is done, at most until `deadline` (the loop's time); the work goes on regardless."""
        await asyncio.wait([self._task], timeout=max(0.0, deadline - asyncio.get_running_loop().time()))

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            self.ack = await self._gateway.ingest(self.message, self.began + INGEST_SECONDS)
        except CallFailed:
            return  # logged where it happened; whoever waits sees that there is no ack
        self.answers = await self._gateway.answers(self.ack, self.began + ANSWER_SECONDS)


def _log_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a delivery broke", traceId=task.get_name(), exc_info=error)


class Deliveries:
    """The deliveries of the last minute, by (openid, message id). Across restarts the gateway recognises them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._by_key: OrderedDict[tuple[str, str], Delivery] = OrderedDict()

    def join(self, key: tuple[str, str], message: UnifiedUserInput) -> Delivery:
        """The delivery of this message, started unless it is there. A failed one is started anew."""
        self._forget_old()
        known = self._by_key.get(key)
        if known is not None and not known.failed:
            return known
        if len(self._by_key) >= _MAX_KEPT:
            raise Unavailable("too many messages are on their way; try again")
        self._by_key.pop(key, None)
        delivery = self._by_key[key] = Delivery(self._gateway, message)
        return delivery

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
