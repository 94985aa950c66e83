"""What runs beside a service's requests: loops, observed and stopped in time; shared proofs; pauses of tries."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()

MAX_PAUSE_SECONDS = 5.0
SAY_AGAIN_SECONDS = 30.0
PROOF_SECONDS = 2.0

T = TypeVar("T")


class Loop:
    """Calls `run_once` until stopped. What it raises is logged and retried after a growing pause.

    `run_once` returns the seconds to wait before the next call (0: at once); `wake()` ends that wait early.
    """

    def __init__(self, name: str, run_once: Callable[[], Awaitable[float]]) -> None:
        self.name = name
        self._run_once = run_once
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self.failures_in_a_row = 0
        self.last_failure = ""
        self._said_at = 0.0

    def start(self) -> None:
        assert self._task is None, "a loop starts once"
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        self._wake.set()

    @property
    def alive(self) -> bool:
        return self._task is not None and not self._task.done()

    async def stop(self, deadline_seconds: float = 5.0) -> None:
        """Let the call under way finish, at most for `deadline_seconds`; then cancel it."""
        if self._task is None:
            return
        self._stopping = True
        self._wake.set()
        if self._waiting is not None:
            self._waiting.cancel()
        done, _ = await asyncio.wait([self._task], timeout=deadline_seconds)
        if not done:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def unless_stopped(self, wait: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """What `wait`, a part of `run_once`, comes to. None: the loop stops, which ends what nothing else would."""
        if self._stopping:
            return None
        waiting = self._waiting = asyncio.create_task(wait(), name=f"{self.name}: waits")
        try:
            await asyncio.wait([waiting])
        finally:
            self._waiting = None
            if not waiting.done():
                waiting.cancel()
                await asyncio.wait([waiting])
        return None if waiting.cancelled() else waiting.result()

    def _note_success(self) -> None:
        if self.failures_in_a_row:
            log.info("loop works again", loop=self.name, failures=self.failures_in_a_row)
        self.failures_in_a_row = 0

    def _note_failure(self, error: Exception) -> float:
        """Returns the pause. Said at once, then now and then: an outage doesn't fill the log."""
        self.failures_in_a_row += 1
        self.last_failure = f"{type(error).__name__}: {error}"
        pause_seconds: float = min(MAX_PAUSE_SECONDS, 0.1 * 2 ** min(self.failures_in_a_row, 10))
        now = time.monotonic()
        if self.failures_in_a_row == 1 or now - self._said_at >= SAY_AGAIN_SECONDS:
            self._said_at = now
            log.warning(
                "loop failed, trying on",
                loop=self.name,
                error=self.last_failure,
                failures=self.failures_in_a_row,
            )
        log.debug("loop pauses", loop=self.name, seconds=pause_seconds)
        return pause_seconds

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                pause_seconds = await self._run_once()
                self._note_success()
            except Exception as error:
                pause_seconds = self._note_failure(error)
            if pause_seconds > 0 and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause_seconds)
            else:
                await asyncio.sleep(0)


class Proof:
    """Calls `prove`, which raises what is wrong, for whoever asks: anew once the last success is PROOF_SECONDS old.

    A failure isn't kept: the next caller tries again, so that a return shows at once. `on_return` hears of it.
    """

    def __init__(self, prove: Callable[[], Awaitable[None]], on_return: Callable[[], None] | None = None) -> None:
        self._prove = prove
        self._on_return = on_return
        self._lock = asyncio.Lock()
        self._proved_at = -math.inf
        self._failed = False

    async def __call__(self) -> None:
        async with self._lock:
            if time.monotonic() - self._proved_at < PROOF_SECONDS:
                return
            try:
                await self._prove()
            except BaseException:
                self._failed = True
                raise
            self._proved_at = time.monotonic()
            returned, self._failed = self._failed, False
        if returned and self._on_return is not None:
            self._on_return()


class Pauses:
    """Between tries: short at first, growing."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._seconds = first_seconds
        self._longest_seconds = longest_seconds

    async def wait(self, deadline: float = math.inf) -> bool:
        """False, at once, when `deadline` (the loop's time) would pass meanwhile."""
        if asyncio.get_running_loop().time() + self._seconds >= deadline:
            return False
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, self._longest_seconds)
        return True
