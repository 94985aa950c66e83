"""Lines that a command suggests, run as they stand in a shell at a terminal whose person says yes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.release.commands import RUN_SECONDS, Ended

_NEXT = re.compile(r"^ *next(?:: | {2,})(?P<command>.+?)(?: {2,}\(safe:.*)?$", re.MULTILINE)


def suggested(ended: Ended) -> list[str]:
    """What it says that comes next, in the order of its words."""
    return [match["command"] for match in _NEXT.finditer(ended.said)]


def typed(line: str, folder: Path, **env: str) -> Ended:
    """The line in a shell; it answers every question with `yes`."""
    ours, theirs = pty.openpty()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", "EDITOR": "true"}
    try:
        os.write(ours, b"yes\n" * 3)
        done = subprocess.run(
            ["sh", "-c", line],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            cwd=folder,
            env={**shell, **env},
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Ended(done.returncode, done.stdout, done.stderr)
