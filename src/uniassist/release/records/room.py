"""Room on the disks that a command writes to: a full one is named first, and not by whatever breaks on it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from uniassist.release.exit_codes import ExitCode, Refused

MB = 1024 * 1024


def require_room(directory: Path, megabytes: int, *, temporary: bool = False) -> None:
    """Refused with 10 unless so much is free where the records are; `temporary`: and among temporary files."""
    for path in (directory, *([Path(tempfile.gettempdir())] if temporary else [])):
        nearest = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        found = os.statvfs(nearest)
        free = found.f_bavail * found.f_frsize
        no_names_left = found.f_files > 0 and found.f_favail == 0
        if free < megabytes * MB or no_names_left:
            left = "no file can be made any more" if no_names_left else f"{free / MB:.1f} MB are free"
            raise Refused(
                ExitCode.PREFLIGHT,
                f"the disk of {path} is full: {left}, {megabytes} MB are needed; make room there\n"
                f"      next: df -h {nearest}\n      safe: a rollback doesn't need it",
            )
