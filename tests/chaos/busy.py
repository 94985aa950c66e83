"""Busy loops beside a run, for the time that the run may take."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from uniassist.devstack.server import die_with_parent

_LOOP = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass\n"


@contextmanager
def busy(loops: int, *, most_seconds: float) -> Iterator[None]:
    """Each ends by itself after `most_seconds`, with us, or at the end of the `with`."""
    children = [
        subprocess.Popen([sys.executable, "-c", _LOOP, str(most_seconds)], preexec_fn=die_with_parent(9))
        for _ in range(loops)
    ]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait(10)
