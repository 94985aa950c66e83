"""Calls that wait share a transaction: while one is under way the next gather; one that comes alone begins at once.

At most one call of a person is under way here. One whose person is busy elsewhere (another process, their erasure),
and each of a transaction that failed, is carried out by itself, so that it delays no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from uniassist.errors import Away, Outage, ServerFault

log = structlog.get_logger()

MOST_TOGETHER = 32
# Of the pool's ten connections: a process that was frozen amid a transaction holds many people at once.
MOST_ALONE = 5
# Of a transaction; a caller waits for no longer, and a server that hangs is asked again.
SECONDS = 3.0
# One under way for longer is waited for by its own persons only: a connection that hangs is no matter of others.
GATHER_SECONDS = 1.0


@dataclass
class Waiting:
    """A call. `answer`: set once it is durable."""

    user_id: str
    answer: asyncio.Future[Any]


W = TypeVar("W", bound=Waiting)


class Together(Generic[W]):
    """`carry_out(calls, waits)`: answers calls of different persons after one commit; returns those that it left,
    for somebody else holds their person's lock. `waits`: for that lock, however long.
    """

    def __init__(self, carry_out: Callable[[Sequence[W], bool], Awaitable[Sequence[W]]]) -> None:
        self._carry_out = carry_out
        self._waiting: list[W] = []
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_writing = False
        self._alone_at_once = asyncio.Semaphore(MOST_ALONE)

    async def submit(self, call: W) -> Any:
        """Its answer; a ServerFault, or what deciding it raised: then nothing was changed."""
        self._waiting.append(call)
        self._go_on()
        try:
            return await call.answer
        finally:
            del call  # it holds an error whose traceback holds this frame

    def _go_on(self) -> None:
        if not self._is_writing:
            self._is_writing = True
            self._start(self._write())

    async def _write(self) -> None:
        try:
            while batch := self._next():
                await asyncio.wait([self._start(self._share(batch))], timeout=GATHER_SECONDS)
        finally:
            self._is_writing = False

    def _next(self) -> list[W]:
        """The first call of each person whom none is under way for."""
        batch: list[W] = []
        left: list[W] = []
        for call in self._waiting:
            if call.answer.done():  # nobody waits for it any more
                continue
            if len(batch) < MOST_TOGETHER and call.user_id not in self._busy:
                self._busy.add(call.user_id)
                batch.append(call)
            else:
                left.append(call)
        self._waiting = left
        return batch

    async def _share(self, calls: Sequence[W]) -> None:
        left: Sequence[W] = ()
        try:
            async with asyncio.timeout(SECONDS):
                left = await self._carry_out(calls, False)
        except (Outage, TimeoutError) as error:
            _fail(calls, error)
        except Exception as error:  # one of them is at fault, or somebody holds the row of one of them
            log.warning("not kept together; each by itself", calls=len(calls), error=repr(error))
            left = calls
        self._busy.difference_update(call.user_id for call in calls)
        self._busy.update(call.user_id for call in left)
        for call in left:
            self._start(self._alone(call))
        self._go_on()

    async def _alone(self, call: W) -> None:
        try:
            async with asyncio.timeout(SECONDS), self._alone_at_once:
                await self._carry_out([call], True)
        except Exception as error:
            _fail([call], error)
        finally:
            self._busy.discard(call.user_id)
            self._go_on()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _fail(calls: Sequence[W], error: Exception) -> None:
    if isinstance(error, TimeoutError):
        error = Away("postgres", f"no answer within {SECONDS:.0f} s")
    if isinstance(error, ServerFault):  # says all by itself; its traceback would hold frames that hold the calls
        error.with_traceback(None)
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(error)
