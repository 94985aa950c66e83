"""Ctrl-C, SIGTERM, a closed terminal: the work under way is cancelled once and cleans up, however often asked."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The work was cancelled and has cleaned up."""


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
