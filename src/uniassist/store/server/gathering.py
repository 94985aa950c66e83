"""Calls of one statement that wait share a round trip and a transaction; one that comes alone is asked at once.

While one round trip is under way the next calls gather. At most one call of a key is under way here, and those that
share a transaction are in the order of their keys: two transactions that lock rows of the same keys don't deadlock.
A call that a lock holds up, or that can't be carried out, holds up or fails those beside it for a moment only: then
each is asked by itself. That is only done once the server has said that nothing was carried out: what was and is
asked again would count twice, or take what it wrote itself for somebody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from uniassist.errors import Outage

log = structlog.get_logger()

MOST_TOGETHER = 32
# Of a pool's connections: rows that somebody holds for long are no matter of the other keys.
MOST_ALONE = 8
TOGETHER_SECONDS = 1.0

R = TypeVar("R")
Arguments = tuple[Any, ...]


@dataclass
class _Waiting(Generic[R]):
    key: str
    arguments: Arguments
    answer: asyncio.Future[R | None]


class Gathering(Generic[R]):
    """`alone(arguments)`: the row, or None. `together(calls)`: the rows by key, after one commit; a key without one
    is missing. `together` is carried out for all or for none, and stopped after TOGETHER_SECONDS. An error of it
    says that it was for none; an Outage, that nobody knows.
    """

    def __init__(
        self,
        alone: Callable[[Arguments], Awaitable[R | None]],
        together: Callable[[Sequence[Arguments]], Awaitable[dict[str, R]]],
    ) -> None:
        self._ask_alone = alone
        self._ask_together = together
        self._waiting: list[_Waiting[R]] = []
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn: Sequence[_Waiting[R]] = ()  # those for whom the next ones wait
        self._alone_at_once = asyncio.Semaphore(MOST_ALONE)

    async def ask(self, key: str, arguments: Arguments) -> R | None:
        """The row, or None. ServerFault. Who is cancelled meanwhile doesn't know whether it was carried out."""
        waiting = _Waiting[R](key, arguments, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._go_on()
        try:
            return await waiting.answer
        finally:
            del waiting  # it holds an error whose traceback holds this frame

    def _go_on(self) -> None:
        if self._turn:
            return
        self._turn = self._next()
        if self._turn:
            self._start(self._share(self._turn))

    def _next(self) -> list[_Waiting[R]]:
        """The first call of each key that none is under way for."""
        batch: list[_Waiting[R]] = []
        left: list[_Waiting[R]] = []
        for call in self._waiting:
            if call.answer.done():  # nobody waits for it any more
                continue
            if len(batch) < MOST_TOGETHER and call.key not in self._busy:
                self._busy.add(call.key)
                batch.append(call)
            else:
                left.append(call)
        self._waiting = left
        return sorted(batch, key=lambda call: call.key)

    async def _share(self, calls: Sequence[_Waiting[R]]) -> None:
        late = asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self._let_others, calls)
        try:
            left = await self._carry_out(calls)
        finally:
            late.cancel()
        self._busy.difference_update(call.key for call in calls)
        self._busy.update(call.key for call in left)
        for call in left:
            self._start(self._alone(call))
        self._let_others(calls)

    def _let_others(self, calls: Sequence[_Waiting[R]]) -> None:
        """Once for each round trip: one that is late has let the next begin, and doesn't again at its end."""
        if self._turn is calls:
            self._turn = ()
        self._go_on()

    async def _carry_out(self, calls: Sequence[_Waiting[R]]) -> Sequence[_Waiting[R]]:
        """Those that are to be asked by themselves."""
        if len(calls) == 1:
            await self._carry_out_one(calls[0])
            return ()
        try:
            rows = await self._ask_together([call.arguments for call in calls])
        except Outage as error:
            _fail(calls, error)
            return ()
        except Exception as error:  # one of them is at fault, or somebody holds a row of one of them
            log.warning("not asked together; each by itself", calls=len(calls), reason=repr(error))
            return calls
        for call in calls:
            _answer(call, rows.get(call.key))
        return ()

    async def _carry_out_one(self, call: _Waiting[R]) -> None:
        """As long as somebody waits for it: what a lock holds up isn't done behind the back of who gave up."""
        task = asyncio.current_task()
        assert task is not None

        def stop(answer: asyncio.Future[R | None]) -> None:
            if answer.cancelled():
                task.cancel()

        call.answer.add_done_callback(stop)
        try:
            _answer(call, await self._ask_alone(call.arguments))
        except asyncio.CancelledError:
            if not call.answer.cancelled():
                raise
            task.uncancel()
        except Exception as error:
            _fail([call], error)

    async def _alone(self, call: _Waiting[R]) -> None:
        try:
            async with self._alone_at_once:
                if not call.answer.done():
                    await self._carry_out_one(call)
        finally:
            self._busy.discard(call.key)
            self._go_on()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _answer(call: _Waiting[R], row: R | None) -> None:
    if not call.answer.done():
        call.answer.set_result(row)


def _fail(calls: Sequence[_Waiting[R]], error: Exception) -> None:
    error.with_traceback(None)  # its traceback would hold frames that hold the calls
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(error)
