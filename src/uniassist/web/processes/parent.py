"""The parent of a service's processes: takes the port, forks them, starts again those that end, ends with them.

All accept from the one socket that the parent listens on. So a port that is taken is noticed, a process that ends
takes no waiting connection with it, and one that is busy or stuck is handed none.

The parent speaks to each by a pair of sockets rather than by signals: a terminal's Ctrl-C and systemd's SIGTERM
reach all processes of a group, and a second signal would cut a drain short. The pair's end tells that the parent
is gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import structlog

from uniassist.errors import StartError
from uniassist.web.processes.cells import Cells
from uniassist.web.processes.place import END, GO, READY, RESTARTS, SERVING, Place

log = structlog.get_logger()

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
LOOPING_SECONDS = 60.0
MOST_FAILED_STARTS = 5
_LOOK_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class _Child:
    """`failed_starts`: in a row, that ended before they took requests."""

    def __init__(self, number: int, scraped: socket.socket) -> None:
        self.number = number
        self.scraped = scraped
        self.pid: int | None = None
        self.said: socket.socket | None = None
        self.is_ready = False
        self.failed_starts = 0
        self.due_at: float | None = None
        self._ends: deque[float] = deque(maxlen=8)

    def pause(self, now: float) -> float:
        """After this end, before the next start."""
        self._ends.append(now)
        recent = sum(now - end < LOOPING_SECONDS for end in self._ends)
        return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (recent - 1)))


class Parent:
    """`become`: what a process does, to its end. It raises SystemExit where it ends with another code than 0."""

    def __init__(self, listener: socket.socket, count: int, become: Callable[[Place], None]) -> None:
        self._listener = listener
        self._count = count
        self._become = become
        self._cells = Cells(count)
        self._children = [_Child(number, _scraped()) for number in range(1, count + 1)]
        self._ports = [child.scraped.getsockname()[1] for child in self._children]
        self._signals = self._told = 0
        self._given_up: int | None = None
        self._serving = False
        self._code = 0
        self._woken, self._wake = os.pipe()

    def run(self) -> int:
        """Until SIGTERM or SIGINT, and until all have drained; a second one ends that wait. The exit code."""
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)
        gc.collect()
        gc.freeze()  # or each process's collector would write to every page, and so copy it
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        # One first: what is wrong with the settings is said once.
        self._start(self._children[0])
        while not self._is_over():
            self._look(time.monotonic())
        return self._code

    @property
    def _is_ending(self) -> bool:
        return bool(self._signals) or self._given_up is not None

    def _is_over(self) -> bool:
        return self._is_ending and all(child.pid is None for child in self._children)

    def _look(self, now: float) -> None:
        self._reap(now)
        if self._is_ending:
            self._tell_to_end()
        else:
            for child in self._children:
                if child.due_at is not None and now >= child.due_at:
                    self._start(child)
        if not self._is_over():
            self._wait(now)

    def _wait(self, now: float) -> None:
        """For a signal, a child's word or a start that is due."""
        due = [child.due_at - now for child in self._children if child.due_at is not None and not self._is_ending]
        said = {
            child.said.fileno(): child for child in self._children if child.said is not None and not child.is_ready
        }
        seconds = max(0.0, min([_LOOK_SECONDS, *due]))
        ready: list[int] = select.select([self._woken, *said], [], [], seconds)[0]
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        for descriptor in ready:
            if descriptor in said:
                self._hear(said[descriptor])

    def _hear(self, child: _Child) -> None:
        """That it is ready; its end is heard of by SIGCHLD."""
        assert child.said is not None
        with contextlib.suppress(OSError):
            if child.said.recv(1):
                self._note_ready(child)

    def _note_ready(self, child: _Child) -> None:
        """At first it waits for the others: nobody is served by a part of them, nor told that one is missing."""
        child.is_ready = True
        child.failed_starts = 0
        log.info("process ready", process=child.number, pid=child.pid)
        if self._serving:
            self._tell(child, GO)
        elif all(each.is_ready for each in self._children):
            self._serving = True
            self._cells.set_integer(0, SERVING, 1)
            for each in self._children:
                self._tell(each, GO)
        else:
            for each in self._children:
                if each.pid is None:
                    each.due_at = time.monotonic()

    def _start(self, child: _Child) -> None:
        child.due_at = None
        child.is_ready = False
        try:
            child.pid, child.said = self._fork(child)
        except OSError as error:
            log.error("no process", process=child.number, error=repr(error))
            self._note_end(child, f"can't be forked: {error.strerror}", 1, time.monotonic())

    def _fork(self, child: _Child) -> tuple[int, socket.socket]:
        """Its number, and what it says by."""
        ours, theirs = socket.socketpair()
        # A signal that came between the fork and the child's own handlers would be handled as the parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                self._be(child, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()
        ours.setblocking(False)
        return pid, ours

    def _be(self, child: _Child, parent: socket.socket) -> NoReturn:
        """In the child, from its first moment to its last."""
        code = 1
        try:
            self._let_go(child)
            structlog.contextvars.bind_contextvars(process=child.number)
            self._become(
                Place(
                    child.number,
                    self._count,
                    cells=self._cells,
                    listener=self._listener,
                    parent=parent,
                    scraped=child.scraped,
                    ports=self._ports,
                )
            )
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _let_go(self, child: _Child) -> None:
        """Of all that is the parent's, or another child's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(self._woken)
        os.close(self._wake)
        for other in self._children:
            if other is not child:
                other.scraped.close()
            if other.said is not None:
                other.said.close()

    def _reap(self, now: float) -> None:
        for child in self._children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                if not child.is_ready:
                    self._hear(child)  # it may have said so just before
                code = os.waitstatus_to_exitcode(status)
                self._note_end(child, f"ended with {code}", code, now)

    def _note_end(self, child: _Child, how: str, code: int, now: float) -> None:
        was_ready, child.pid = child.is_ready, None
        self._cells.set_integer(child.number - 1, READY, 0)
        if child.said is not None:
            child.said.close()
            child.said = None
        if self._is_ending:
            # One that was told to end before it could listen to that ends by the signal itself.
            if code not in (0, -signal.SIGTERM) and not self._code:
                self._code = code if code > 0 else 1
                log.error("process did not drain", process=child.number, how=how)
            return
        if not was_ready or not self._serving:
            child.failed_starts += 1
            if not self._serving or child.failed_starts >= MOST_FAILED_STARTS:
                self._give_up(child, how, code)
                return
        pause = child.pause(now)
        child.due_at = now + pause
        self._cells.add(child.number - 1, RESTARTS)
        log.warning("process ended, another follows", process=child.number, how=how, seconds=pause)

    def _give_up(self, child: _Child, how: str, code: int) -> None:
        self._given_up = self._code = code if code > 0 else 1
        tries = "" if child.failed_starts == 1 else f", {child.failed_starts} times in a row"
        with contextlib.suppress(OSError):  # nobody may be there to read it
            sys.stderr.write(f"process {child.number} of {self._count} {how} before it took requests{tries}\n")

    def _tell_to_end(self) -> None:
        """As often as there were signals: the second ends the wait for requests."""
        self._listener.close()  # who comes now is refused, once the children have closed theirs
        wanted = max(self._signals, 1)
        while self._told < wanted:
            self._told += 1
            for child in self._children:
                self._tell(child, END)

    def _tell(self, child: _Child, word: bytes) -> None:
        if child.said is not None:
            with contextlib.suppress(OSError):
                child.said.send(word)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1


def _scraped() -> socket.socket:
    """Where the other processes ask one for its metrics, on this machine only."""
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise StartError(f"several processes need a port of 127.0.0.1 each: {error.strerror}") from None
    listener.setblocking(False)
    return listener
