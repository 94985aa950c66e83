"""uvicorn's httptools protocol with the bounds it lacks: on a request's head and arrival, and on a slow reader."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from uniassist.contracts.codec import encode
from uniassist.errors import InvalidRequest, UniAssistError
from uniassist.web.problems import PROBLEM_TYPE, problem_of

MAX_HEAD_BYTES = 32 * 1024
REQUEST_DEADLINE_SECONDS = 30.0
# A reader takes this much of its answer within the deadline, or what is left of it: 2 KiB a second.
READER_DEADLINE_SECONDS = 30.0
READER_BYTES = 64 * 1024

_REASONS = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


class HeadTooLarge(UniAssistError):
    status, code, title = 431, "INVALID_REQUEST", "Request header fields too large"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 to a head over MAX_HEAD_BYTES; the server's tick closes whoever doesn't send, or doesn't read."""

    _in_head = True
    _head_bytes = 0
    _waiting_since: float | None = None
    _unread_since: float | None = None
    _unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting_since = self.loop.time()

    def close_if_waiting_since(self, oldest: float) -> None:
        """Close a connection that has been sending its request since before `oldest` (the loop's time)."""
        if self._waiting_since is not None and self._waiting_since < oldest:
            self.transport.close()

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
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()

    def on_headers_complete(self) -> None:
        self._in_head = False
        # the chunk may hold a body as well: count exactly, but only when it could be too much
        if self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge(f"headers: at most {MAX_HEAD_BYTES} bytes"))
            return
        self._head_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        self._waiting_since = None
        if not self.transport.is_closing():
            super().on_message_complete()

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
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n"
            b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n%b"
            % (error.status, _REASONS[error.status], PROBLEM_TYPE.encode("ascii"), len(body), body)
        )
        self.transport.close()
