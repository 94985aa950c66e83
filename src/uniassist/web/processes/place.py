"""What a process of a service knows of itself and of the others beside it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence

from uniassist.web.processes.cells import Cells

STUCK_SECONDS = 10.0
# Columns of a process's row; what follows is the service's own. SERVING, in the first: all were ready once.
# ACCEPTED_NS: when it last said that it accepts, with how many CONNECTIONS; 0: it doesn't.
READY, BEAT_NS, RESTARTS, SERVING, CONNECTIONS, ACCEPTED_NS, FIRST_OWN = range(7)
# What is said between a process and the parent.
READY_WORD, GO, END = b"r", b"g", b"e"


class NotAllRun(Exception):
    """Others of a service's processes don't run, or are stuck."""


class Place:
    """A process's among those of its service: `number` from 1 to `of`.

    `cells`: shared by all. `listener`: the service's, taken by the parent; None: it is to be taken.
    `parent`: what the parent says by; its end is the parent's. `scraped`: where others ask for this one's metrics.
    `ports`: of this machine, where each is asked for them, the first's first.
    """

    def __init__(
        self,
        number: int = 1,
        of: int = 1,
        *,
        cells: Cells | None = None,
        listener: socket.socket | None = None,
        parent: socket.socket | None = None,
        scraped: socket.socket | None = None,
        ports: Sequence[int] = (),
    ) -> None:
        self.number = number
        self.of = of
        self.cells = cells if cells is not None else Cells(of)
        self.listener = listener
        self.parent = parent
        self.scraped = scraped
        self.ports = ports

    @property
    def row(self) -> int:
        return self.number - 1

    @property
    def others(self) -> Sequence[int]:
        return [number for number in range(1, self.of + 1) if number != self.number]

    def share(self, total: int, *, least: int = 1) -> int:
        """This process's part of what the whole service may use."""
        return max(least, -(-total // self.of))

    async def may_serve(self) -> bool:
        """Says that this process is ready, and waits until the parent lets it serve. False: it is to end."""
        self._beat()
        self.cells.set_integer(self.row, CONNECTIONS, 0)
        self.cells.set_integer(self.row, READY, 1)
        if self.parent is None:
            return True
        self.parent.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.parent, READY_WORD)
        return await loop.sock_recv(self.parent, 1) == GO

    def is_up(self, number: int) -> bool:
        """Whether that process takes requests, by what it and the parent last said."""
        return bool(self.cells.integer(number - 1, READY))

    def restarts(self, number: int) -> int:
        return self.cells.integer(number - 1, RESTARTS)

    async def check(self) -> None:
        """NotAllRun. A health check, and by being asked each second this process's sign of life."""
        self._beat()
        if not self.cells.integer(0, SERVING):
            return
        away = [number for number in self.others if not self.is_up(number)]
        if away:
            raise NotAllRun(f"don't run: {', '.join(map(str, away))}")
        latest = time.monotonic_ns() - int(STUCK_SECONDS * 1e9)
        stuck = [number for number in self.others if self.cells.integer(number - 1, BEAT_NS) < latest]
        if stuck:
            raise NotAllRun(f"are stuck: {', '.join(map(str, stuck))}")

    def _beat(self) -> None:
        self.cells.set_integer(self.row, BEAT_NS, time.monotonic_ns())
