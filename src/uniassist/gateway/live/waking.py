"""Wakes tasks a few at a time: between them the event loop does what else is ready."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

AT_ONCE = 20  # in a round of the loop; a reader's turn takes up to 0.1 ms


class Waking:
    """Sets events in the order in which it was asked, AT_ONCE in a round; one that waits already waits on."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[asyncio.Event, None] = OrderedDict()
        self._room = AT_ONCE  # in this round
        self._counts = False  # a call for the next round is scheduled

    def wake(self, event: asyncio.Event) -> None:
        """From the event loop only."""
        if event.is_set():
            return
        if self._waiting or not self._room:
            self._waiting[event] = None
        else:
            self._set(event)

    def _set(self, event: asyncio.Event) -> None:
        event.set()
        self._room -= 1
        if not self._counts:
            self._counts = True
            asyncio.get_running_loop().call_soon(self._next_round)

    def _next_round(self) -> None:
        self._counts, self._room = False, AT_ONCE
        while self._waiting and self._room:
            self._set(self._waiting.popitem(last=False)[0])
