"""An engine for each lane, started, stopped and asked together: what one says is wrong is wrong with the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from uniassist.delivery.engine import Engine
from uniassist.delivery.metrics import DeliveryMetrics


class Engines:
    """At least one."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines

    @property
    def metrics(self) -> DeliveryMetrics:
        return self._engines[0].metrics

    def start(self) -> None:
        for engine in self._engines:
            engine.start()

    async def refuse_taken_stream(self, deadline_seconds: float) -> None:
        await asyncio.gather(*(engine.refuse_taken_stream(deadline_seconds) for engine in self._engines))

    async def first_look(self, deadline_seconds: float) -> None:
        await asyncio.gather(*(engine.first_look(deadline_seconds) for engine in self._engines))

    async def stop(self, deadline_seconds: float) -> None:
        await asyncio.gather(*(engine.stop(deadline_seconds) for engine in self._engines))

    async def check_postgres(self) -> None:
        await asyncio.gather(*(engine.check_postgres() for engine in self._engines))

    async def check_redis(self) -> None:
        await asyncio.gather(*(engine.check_redis() for engine in self._engines))

    async def check_delivery(self) -> None:
        await asyncio.gather(*(engine.check_delivery() for engine in self._engines))

    async def check_alone(self) -> None:
        await asyncio.gather(*(engine.check_alone() for engine in self._engines))

    async def check_loops(self) -> None:
        await asyncio.gather(*(engine.check_loops() for engine in self._engines))
