"""Accepting for one of several processes from the socket that all share, so that each gets its part.

A server that takes all that wait takes a whole burst of connections, which then stay with it, and its core is busy
while others idle. Here a process takes one at a time, and one that has more than another lets that one go first.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import structlog

from uniassist.web.processes.place import ACCEPTED_NS, CONNECTIONS, Place

log = structlog.get_logger()

AHEAD = 2
LETS_OTHERS_SECONDS = 0.005
# After the last word of one, which each gives ten times a second: one that is stuck or drains accepts nothing, and
# each connection would be let wait for it.
ACCEPTS_SECONDS = 1.0
NO_DESCRIPTOR_SECONDS = 1.0


class Acceptor:
    """`make`: a connection's protocol. `held`: how many connections there are. Accepts until `close`."""

    def __init__(
        self, listener: socket.socket, place: Place, make: Callable[[], asyncio.Protocol], held: Callable[[], int]
    ) -> None:
        self._listener = listener
        self._place = place
        self._make = make
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._has_waited = False
        self._later: asyncio.TimerHandle | None = None
        self._taking: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listener, self._accept)
        self.tell_held()

    def tell_held(self) -> None:
        """To the others; to be called ten times a second, since connections end unasked."""
        cells, row = self._place.cells, self._place.row
        cells.set_integer(row, CONNECTIONS, self._held() + len(self._taking))
        cells.set_integer(row, ACCEPTED_NS, time.monotonic_ns())

    def close(self) -> None:
        self._place.cells.set_integer(self._place.row, ACCEPTED_NS, 0)
        self._loop.remove_reader(self._listener)
        if self._later is not None:
            self._later.cancel()

    async def wait_closed(self) -> None:
        if self._taking:
            await asyncio.wait(self._taking)

    def _accept(self) -> None:
        if not self._has_waited and self._is_ahead():
            self._has_waited = True
            self._pause(LETS_OTHERS_SECONDS)
            return
        self._has_waited = False
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process has it, or nobody
        except OSError as error:
            log.error("nothing accepted", error=repr(error))
            self._pause(NO_DESCRIPTOR_SECONDS)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._take(connection))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)
        self.tell_held()

    def _is_ahead(self) -> bool:
        held = self._held() + len(self._taking)
        cells, since = self._place.cells, time.monotonic_ns() - int(ACCEPTS_SECONDS * 1e9)
        others = [
            cells.integer(number - 1, CONNECTIONS)
            for number in self._place.others
            if self._place.is_up(number) and cells.integer(number - 1, ACCEPTED_NS) >= since
        ]
        return bool(others) and held > min(others) + AHEAD

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._later = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    async def _take(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError as error:  # it is gone already
            log.debug("not taken", error=repr(error))
            connection.close()
