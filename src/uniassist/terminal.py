"""What a process writes to its terminal and its log: secrets masked, and nothing in it moves a cursor.

A terminal obeys what others put into a text (ESC and C1 sequences, OSC, CR), and shows what bidirectional controls
make of it. All that we write goes by here; our own colours and cursor movements are written to what `raw` gives.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO, cast


class Hiding(Protocol):
    """Takes out of a text what isn't to be shown. Those that take out the same are equal."""

    def mask(self, text: str) -> str: ...


# C0 without tab and line feed, DEL, C1; line and paragraph separators; the controls of bidirectional text, the
# deprecated ones and those of interlinear notes; what isn't a character.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]"
)


def escape(text: str) -> str:
    r"""`text` with \uXXXX for what a terminal obeys instead of showing it; in JSON that means the same."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class GuardedStream(io.TextIOBase):
    """A text stream to a person or a log. All of `hidings` are applied to every text, then it is escaped."""

    def __init__(self, out: TextIO, hiding: Hiding) -> None:
        self.out = out
        self.hidings = [hiding]

    def write(self, text: str) -> int:
        self.out.write(escape(self.masked(text)))
        return len(text)

    def masked(self, text: str) -> str:
        for hiding in self.hidings:
            text = hiding.mask(text)
        return text

    def flush(self) -> None:
        self.out.flush()

    def isatty(self) -> bool:
        return self.out.isatty()

    def fileno(self) -> int:
        return self.out.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        return self.out.encoding


@contextmanager
def guarded(hiding: Hiding) -> Iterator[None]:
    """Standard output and standard error, guarded."""
    before = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, GuardedStream(sys.stdout, hiding))
    sys.stderr = cast(TextIO, GuardedStream(sys.stderr, hiding))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def hide(hiding: Hiding) -> None:
    """Mask more from now on: what was read from a file, or was made here. The same again changes nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, GuardedStream) and hiding not in stream.hidings:
            stream.hidings.append(hiding)


def raw(stream: Any) -> Any:
    """For our own controls, and for secrets that a person asked for: the stream without its guard."""
    return stream.out if isinstance(stream, GuardedStream) else stream
