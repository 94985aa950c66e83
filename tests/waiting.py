"""Wait for a condition with a deadline; never for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]],
    what: str,
    deadline_seconds: float = ...,
    pause_seconds: float = ...,
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T | None], what: str, deadline_seconds: float = ..., pause_seconds: float = ...
) -> T: ...
async def eventually(
    condition: Callable[[], Any], what: str, deadline_seconds: float = 90.0, pause_seconds: float = 0.03
) -> Any:
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
