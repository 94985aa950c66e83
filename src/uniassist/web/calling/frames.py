"""Server-sent events out of bytes, whatever pieces those come in. Pure; bounded, and linear in what it is fed."""

from __future__ import annotations

from uniassist.web.calling.client import BadAnswer

MAX_FRAME_BYTES = 256 * 1024
SIGN_OF_LIFE = b""
_NAMES = (b"data", b"event", b"id", b"retry")


class FrameReader:
    """`feed` it chunks. BadAnswer for a frame of more than MAX_FRAME_BYTES, and for what is no event stream."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line that hasn't ended; joined once, or bytes one by one would cost n²
        self._parts_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The `data` of the frames that ended with this chunk; SIGN_OF_LIFE for a comment."""
        found: list[bytes] = []
        if b"\n" not in chunk and b"\r" not in chunk:
            self._keep(chunk)
            return found
        text = b"".join([*self._parts, chunk])
        self._parts, self._parts_bytes = [], 0
        # A CR at the end may be the first half of a CRLF.
        held = b"\r" if text.endswith(b"\r") else b""
        for line in text.removesuffix(held).splitlines(keepends=True):
            if line.endswith((b"\n", b"\r")):
                self._line(line.rstrip(b"\r\n"), found)
            else:
                self._keep(line)
        self._keep(held)
        return found

    def _keep(self, part: bytes) -> None:
        self._parts_bytes += len(part)
        if self._parts_bytes + self._data_bytes > MAX_FRAME_BYTES:
            raise BadAnswer(f"a frame of more than {MAX_FRAME_BYTES} bytes")
        if part:
            self._parts.append(part)

    def _line(self, line: bytes, found: list[bytes]) -> None:
        if not line:
            if self._data:
                found.append(b"\n".join(self._data))
                self._data, self._data_bytes = [], 0
            return
        if line.startswith(b":"):
            found.append(SIGN_OF_LIFE)
            return
        name, _, value = line.partition(b":")
        if name not in _NAMES:
            raise BadAnswer("expected server-sent events: lines of data, and blank ones between them")
        if name == b"data":
            self._data_bytes += len(value)
            if self._data_bytes > MAX_FRAME_BYTES:
                raise BadAnswer(f"a frame of more than {MAX_FRAME_BYTES} bytes")
            self._data.append(value.removeprefix(b" "))
