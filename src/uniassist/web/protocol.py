"""uvicorn's httptools protocol with the bounds that it lacks: on a request's head, slow senders, slow readers."""

from __future__ import annotations

import asyncio
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from uniassist.contracts.codec import encode
from uniassist.errors import InvalidRequest, Unavailable, UniAssistError
from uniassist.web.bodies import HEAR_OUT_BYTES, BodyBudget, begin, body_of
from uniassist.web.problems import PROBLEM_TYPE, problem_of

MAX_HEAD_BYTES = 32 * 1024
REQUEST_DEADLINE_SECONDS = 30.0
# A reader has to take so much of its answer, or what is left of it, within the deadline: 2 KiB a second.
READER_DEADLINE_SECONDS = 30.0
READER_BYTES = 64 * 1024

# A connection that asked nothing for so long may have to go for one that does.
EVICTABLE_SECONDS = 1.0
# So many beyond the bound are let be for that long.
_RESERVE = 24
# Of the connections that may be had: how many go at a time, when there are more.
_EVICTED_PART = 16
# Ten times what the look takes.
_LOOK_SECONDS_EACH = 1e-6
# What is answered when all else has taken its own: whoever watches is to see that it lives, and why it's full.
_ALWAYS = frozenset((b"/health", b"/health/live", b"/metrics"))
_REASONS = {400: b"Bad Request", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


class HeadTooLarge(UniAssistError):
    status, code, title = 431, "INVALID_REQUEST", "Request header fields too large"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 to a head over MAX_HEAD_BYTES. The server's tick closes who sends or reads too slowly.

    Connections beyond `most_connections` are in the reserve: they are answered what _ALWAYS has, and 503 to all
    else. The longest idle of the others go for them.

    What comes of a body is charged to `bodies`, and passed over when there is no room for it. So is what comes
    after the answer, up to HEAR_OUT_BYTES.
    """

    bodies: BodyBudget
    most_connections: int

    _look_at = 0.0  # of all connections of the process: when to look next for those that may go; the loop's time
    _in_reserve = False
    _idle_since: float | None = None
    _in_head = True
    _head_bytes = 0
    _passed_over_bytes = 0
    _waiting_since: float | None = None
    _unread_since: float | None = None
    _unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting_since = self._idle_since = self.loop.time()
        if len(self.connections) > self.most_connections:
            self._in_reserve = True
            self._make_room()

    def _make_room(self) -> None:
        """Close the longest idle. Some at a time, and not at once again: to look at all costs by their number."""
        now, shared = self.loop.time(), type(self)
        if now < shared._look_at:
            return
        shared._look_at = now + len(self.connections) * _LOOK_SECONDS_EACH
        crowded = len(self.connections) > self.most_connections + _RESERVE
        oldest = now - (0 if crowded else EVICTABLE_SECONDS)
        idle = [
            (each._idle_since, each)
            for each in self.connections
            if isinstance(each, BoundedHttpProtocol) and each._idle_since is not None and each._idle_since < oldest
        ]
        idle.sort(key=lambda pair: pair[0])
        for _, each in idle[: max(1, self.most_connections // _EVICTED_PART)]:
            each.transport.close()

    def close_if_waiting_since(self, oldest: float) -> None:
        """Close a connection that has been sending its request since before `oldest` (the loop's time)."""
        if self._waiting_since is not None and self._waiting_since < oldest:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle, _ in self.pipeline:  # which nobody will begin to answer
            if (body := body_of(cast(Scope, cycle.scope))) is not None:
                body.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._note_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_since = None

    def abort_if_unread_since(self, oldest: float) -> None:
        """Abort a connection whose reader has taken too little since before `oldest` (the loop's time).

        Not `close`: that waits until the reader has taken the rest.
        """
        if self._unread_since is None or self._unread_since >= oldest:
            return
        if self._unread_bytes - self.transport.get_write_buffer_size() < READER_BYTES:
            self.transport.abort()
        else:
            self._note_unread()

    def _note_unread(self) -> None:
        self._unread_since = self.loop.time()
        self._unread_bytes = self.transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HeadTooLarge(f"headers: at most {MAX_HEAD_BYTES} bytes"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._passed_over_bytes = 0
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()

    def on_headers_complete(self) -> None:
        self._in_head = False
        # the chunk may hold a body as well: count exactly, but only when it could be too much
        if self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge(f"headers: at most {MAX_HEAD_BYTES} bytes"))
            return
        self._head_bytes = 0
        if self._in_reserve and self.url.partition(b"?")[0] not in _ALWAYS:
            self._refuse(Unavailable("connections: too many at a time; try again"))
            return
        self._idle_since = None
        begin(cast(Scope, self.scope), self.bodies)
        super().on_headers_complete()
        if self._in_reserve:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self.transport.is_closing():
            return
        if self.cycle.response_complete:
            self._passed_over_bytes += len(body)
            if self._passed_over_bytes > HEAR_OUT_BYTES:
                self.transport.close()
            return
        mine = body_of(cast(Scope, self.scope))
        if mine is None or mine.take(len(body)):
            super().on_body(body)
        else:  # whoever reads it, or waits for more of it, is to see that it was refused
            self.cycle.body.clear()
            self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        self._waiting_since = None
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._idle_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        # also reached after one of our own refusals, when the parser trips over what follows
        if not self.transport.is_closing():
            self._refuse(InvalidRequest("request: expected well-formed HTTP/1.1"))

    def _unsupported_upgrade_warning(self) -> None:
        # an upgrade that nobody offers is answered as the plain request it also is
        return

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, error: UniAssistError) -> None:
        body = encode(problem_of(error))
        more = b"".join(f"{name.lower()}: {value}\r\n".encode("ascii") for name, value in error.headers.items())
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b"
            b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n%b"
            % (error.status, _REASONS[error.status], PROBLEM_TYPE.encode("ascii"), len(body), more, body)
        )
        self.transport.close()
