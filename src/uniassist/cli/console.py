"""Tables and colours: what Rich writes, guarded as all else that is printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from uniassist.terminal import GuardedStream, escape, raw


def guarded_console(*, soft_wrap: bool = False) -> Console:
    """On standard output: its texts are masked and escaped, its colours and movements reach the terminal."""
    return _GuardedConsole(sys.stdout, soft_wrap=soft_wrap)


class _GuardedConsole(Console):
    def __init__(self, stream: Any, *, soft_wrap: bool) -> None:
        super().__init__(file=raw(stream), highlight=False, soft_wrap=soft_wrap)
        self._guard = stream.masked if isinstance(stream, GuardedStream) else str

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            Segment(text if control else escape(self._guard(text)), style, control)
            for text, style, control in buffer
        )
