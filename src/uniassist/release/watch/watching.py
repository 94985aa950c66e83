"""The watch itself: looks at everything in its time, until a trigger fires or its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from uniassist.release import interrupts
from uniassist.release.watch.triggers.judge import Judge
from uniassist.release.watch.triggers.outages import DEPENDENCIES
from uniassist.release.watch.triggers.samples import (
    Attempt,
    Cadence,
    Finding,
    Notice,
    OutboxMetrics,
    Probe,
    Round,
    Trigger,
)

_TICK_SHARE = 0.2


class Sources(Protocol):
    """Where samples come from. None of these raises for what it finds; each keeps to its deadline."""

    async def probe(self, service: str) -> Probe: ...

    async def attempt(self, dependency: str) -> Attempt: ...

    async def round(self) -> Round: ...

    async def metrics(self) -> OutboxMetrics | None: ...


@dataclass(frozen=True)
class WatchEnd:
    """How a watch ended.

    trigger: None: its time was over.
    unknown: what it couldn't judge at the end of its time.
    """

    trigger: Trigger | None
    unknown: tuple[str, ...] = ()


class Watching:
    """Looks at everything in its time.

    say: gets every notice as it comes.
    tick: is called every heartbeat.
    """

    def __init__(
        self,
        sources: Sources,
        judge: Judge,
        cadence: Cadence,
        *,
        say: Callable[[Notice], None],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._sources = sources
        self._judge = judge
        self._cadence = cadence
        self._say = say
        self._tick = tick

    async def run(self, for_seconds: float) -> WatchEnd:
        """A failure under way when the time is over is watched until it is decided, two rounds longer at most."""
        loop = asyncio.get_running_loop()
        self._fired: asyncio.Future[Trigger] = loop.create_future()
        cadence, looks = self._cadence, self._looks()
        tasks = [loop.create_task(self._every(seconds, look)) for seconds, look in looks]
        tasks.append(loop.create_task(self._end(for_seconds, 2 * cadence.round_seconds)))
        anything: list[asyncio.Future[Any]] = [self._fired, *tasks]
        try:
            done, _ = await asyncio.wait(anything, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()  # raises what broke: a watch that has stopped looking must not seem to go on
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._fired.done():
            return WatchEnd(self._fired.result())
        return WatchEnd(None, (*self._judge.unknown, *self._judge.undecided))

    def _looks(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        cadence = self._cadence
        looks = [(cadence.probe_seconds, self._probing(service)) for service in self._judge.health]
        looks += [(cadence.probe_seconds, self._attempting(name)) for name in DEPENDENCIES]
        looks.append((cadence.round_seconds, self._check))
        looks.append((cadence.metrics_seconds, self._count))
        looks.append((cadence.probe_seconds * _TICK_SHARE, self._look_at_clock))
        looks.append((cadence.heartbeat_seconds, self._beat))
        return looks

    async def _every(self, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        """On a grid, so that slow answers don't stretch it; what it was too late for is left out."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:  # ends: with the watch
            await look()
            interrupts.check()  # a client of Redis may have lost the end of the watch
            due += seconds * max(1, -(-(loop.time() - due) // seconds))
            await asyncio.sleep(due - loop.time())

    async def _end(self, for_seconds: float, longer_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + for_seconds
        await asyncio.sleep(for_seconds)
        if undecided := self._judge.undecided:
            what = f"its time is over, not everything is decided: {'; '.join(undecided)}"
            self._say(Notice(loop.time(), "warning", what))
        # Samples decide it: there is nothing else to wait on.
        while self._judge.undecided and loop.time() < end + longer_seconds:  # noqa: ASYNC110
            await asyncio.sleep(self._cadence.probe_seconds * _TICK_SHARE)

    def _probing(self, service: str) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            self._take(self._judge.probed(service, await self._sources.probe(service)))

        return look

    def _attempting(self, dependency: str) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            self._take(self._judge.attempted(dependency, await self._sources.attempt(dependency)))

        return look

    async def _check(self) -> None:
        self._take(self._judge.checked(await self._sources.round()))

    async def _count(self) -> None:
        if (metrics := await self._sources.metrics()) is not None:
            self._take(self._judge.counted(metrics))

    async def _look_at_clock(self) -> None:
        self._take(self._judge.look_at_clock(asyncio.get_running_loop().time()))

    async def _beat(self) -> None:
        self._tick()

    def _take(self, findings: list[Finding]) -> None:
        for finding in findings:
            if isinstance(finding, Notice):
                self._say(finding)
            elif not self._fired.done():
                self._fired.set_result(finding)
