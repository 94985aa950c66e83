"""A check right after a restart, tried again: a gateway that stays doesn't call a provider that was away at once.

Its breaker is open for 10 s after five failed calls (gateway/providers/breaker.py), also once the provider is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from uniassist.release.report.checklist import CheckFailed

WITHIN_SECONDS = 25.0
PAUSE_SECONDS = 2.0


async def try_again(
    check: Callable[[], Awaitable[str]],
    *,
    within_seconds: float = WITHIN_SECONDS,
    pause_seconds: float = PAUSE_SECONDS,
) -> str:
    """The check's answer, or its last CheckFailed once the time is over. It is tried once at least."""
    end = asyncio.get_running_loop().time() + within_seconds
    while True:  # ends: with a good answer, or the time
        try:
            return await check()
        except CheckFailed:
            if asyncio.get_running_loop().time() + pause_seconds > end:
                raise
        await asyncio.sleep(pause_seconds)
