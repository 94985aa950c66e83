"""Files that outlive a crash: whole or not at all, on the disk before anything relies on them, for their owner."""

from __future__ import annotations

import os
from pathlib import Path

from uniassist.errors import StartError


def make_directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{path} can't be made: {error.strerror}") from None
    return path


def write_whole(path: Path, text: str) -> None:
    """Replace `path`. StartError with the system's reason."""
    try:
        make_directory(path.parent)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise StartError(f"{path} can't be written: {error.strerror}") from None


def sync_directory(path: Path) -> None:
    """A name that was made, replaced or removed in it is on the disk afterwards."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
