"""Wait for a condition with a deadline; never for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    what: str,
    deadline_seconds: float = 15.0,
    pause_seconds: float = 0.03,
) -> T:
    """The first true answer of `condition`; AssertionError naming `what` and the last answer at the deadline."""
    end = time.monotonic() + deadline_seconds
    while True:
        found = condition()
        answer = await found if inspect.isawaitable(found) else found
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_seconds} s: {what}; last answer: {answer!r}")
        await asyncio.sleep(pause_seconds)
