"""Where the tests' files are: in memory, where the system has room for them there.

The tests make some thousand databases, repositories and state directories, and throw them away: on a disk, most of
what Postgres costs them is the file system's work.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_PREFIX = "uniassist-"
KEEP = "TEST_KEEPS_FILES"  # what runs before left stays
_WANTED_BYTES = 6 * 1024**3  # a whole run takes one or two


def in_memory() -> Path | None:
    """A directory of this process's, now the temporary one of all that it starts; None where it stays on the disk.

    What runs before left, being killed or red, goes first; not where `KEEP` is in the environment.
    """
    if "TMPDIR" in os.environ or not _has_room():
        return None
    for left in _MEMORY.glob(f"{_PREFIX}[0-9]*"):
        if KEEP not in os.environ and not Path("/proc", left.name.removeprefix(_PREFIX)).exists():
            shutil.rmtree(left, ignore_errors=True)
    directory = _MEMORY / f"{_PREFIX}{os.getpid()}"
    try:
        directory.mkdir(mode=0o755)  # Postgres runs as another user when we are root
    except OSError:
        return None
    os.environ["TMPDIR"] = str(directory)
    tempfile.tempdir = None  # or it would stay what it was, had anybody asked
    return directory


def _has_room() -> bool:
    try:
        there = os.statvfs(_MEMORY)
        known = Path("/proc/meminfo").read_text("ascii")
    except OSError:
        return False
    available = next((line for line in known.splitlines() if line.startswith("MemAvailable:")), "- 0 kB")
    runs_programs = not there.f_flag & os.ST_NOEXEC  # environments with programs are made too
    free = min(there.f_bavail * there.f_frsize, int(available.split()[1]) * 1024)
    return runs_programs and free >= _WANTED_BYTES
