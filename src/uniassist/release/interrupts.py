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


def check() -> None:
    """CancelledError once the current task was asked to end.

    Before Python 3.12 `asyncio.wait_for` loses a cancellation that comes as its future ends, and the clients of
    Redis and Postgres use it; so work in steps looks between them.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


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


def run(
    work: Coroutine[Any, Any, T],
    say: Callable[[str], None],
    first: str = "cleaning up…",
    again: str = "still cleaning up…",
) -> T:
    """The answer of `work`, or Interrupted."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        asked = 0

        def on_signal() -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                say(f"interrupted, {first}")
                task.cancel()
            else:
                say(again)

        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, on_signal)
        try:
            result = await task
        except asyncio.CancelledError:
            raise Interrupted from None
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
        if asked:  # it was done before it heard of it: whoever asked sees that it was heard
            raise Interrupted
        return result

    return asyncio.run(watched())
