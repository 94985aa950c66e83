"""Ctrl-C, SIGTERM, a closed terminal: the work under way is cancelled once and cleans up, however often asked."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Interrupted(Exception):
    """The work was cancelled and has cleaned up."""


async def to_the_end(work: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns. A cancellation waits until it is done: a clean-up that is cut off cleans up nothing."""
    task = asyncio.ensure_future(work(*args, **kwargs))
    cancelled = False
    while not task.done():  # ends: with the work
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:  # noqa: S110 - it is the task's, and raised below
            pass
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


def run(work: Coroutine[Any, Any, T], say: Callable[[str], None]) -> T:
    """The answer of `work`, or Interrupted."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        asked = 0

        def on_signal() -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                say("interrupted, cleaning up…")
                task.cancel()
            else:
                say("still cleaning up…")

        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, on_signal)
        try:
            return await task
        except asyncio.CancelledError:
            raise Interrupted from None
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    return asyncio.run(watched())
