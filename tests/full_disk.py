"""A disk of its own that can be filled to the last byte: a small tmpfs, where the system lets us mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BALLAST = "ballast"


@contextmanager
def disk(path: Path, megabytes: int = 8, *, mode: str = "700") -> Iterator[Path]:
    """Mounted at `path`. Skips the test where only an administrator may mount. `mode` of its folder, in octal."""
    path.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode={mode}", "tmpfs", str(path)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("a disk can't be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def drain(path: Path) -> None:
    """What `fill` took is free again."""
    (path / _BALLAST).unlink(missing_ok=True)


def fill(path: Path) -> None:
    """Until nothing more can be written."""
    with (path / _BALLAST).open("ab", buffering=0) as out:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:  # ends: the disk is small
                    out.write(b"x" * size)
            except OSError:
                continue


def make_room(path: Path) -> None:
    """After `fill`."""
    (path / _BALLAST).unlink()
