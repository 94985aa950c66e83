"""A deadline that holds even while the database hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from uniassist.errors import Away

T = TypeVar("T")


async def within(deadline: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; Away at `deadline` (the loop's time).

    Not `asyncio.timeout_at`: a query that is cancelled waits for the server to confirm that, which one that hangs
    doesn't. Here it is left behind with its connection.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task], timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        if task.done():
            return task.result()
        task.add_done_callback(_forget)
        raise Away("postgres", "no answer in time")
    finally:
        task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody waits for it any more
