"""The typing state: shows a person that their message is being worked on, when that takes a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from uniassist.adapter_wechat.outbound.permission import Permission

MAX_UNDER_WAY = 1000


class TypingState:
    """Shows it to at most MAX_UNDER_WAY people at once. A failure matters to nobody."""

    def __init__(self, permission: Permission) -> None:
        self._permission = permission
        self._under_way: set[asyncio.Task[None]] = set()

    @contextmanager
    def shown(self, openid: str, after_seconds: float) -> Iterator[None]:
        """Show it from `after_seconds` on, unless the block is left by then. The next message takes it away."""
        if not self._permission.may_send or len(self._under_way) >= MAX_UNDER_WAY:
            yield
            return
        timer = asyncio.get_running_loop().call_later(after_seconds, self._show, openid)
        try:
            yield
        finally:
            timer.cancel()

    async def stop(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _show(self, openid: str) -> None:
        task = asyncio.create_task(self._permission.type(openid, "Typing"), name="wechat-typing")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
