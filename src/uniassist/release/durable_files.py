"""Files that outlive a crash: whole or not at all, on the disk before anything relies on them, for their owner."""

from __future__ import annotations

import contextlib
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        make_directory(path.parent)
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StartError(f"{path} can't be written: {error.strerror}") from None


def overwrite(path: Path, content: bytes) -> None:
    """Replace what a file holds, in the room that it has already: for a disk with none left. OSError when it can't.

    A crash in the middle leaves it damaged; whoever has room uses `write_whole`.
    """
    with path.open("r+b") as out:
        out.write(content)
        out.flush()
        out.truncate()
        os.fsync(out.fileno())


def write_anyhow(path: Path, text: str) -> None:
    """As `write_whole`, and in place where that can't be done. StartError with the first reason."""
    try:
        write_whole(path, text)
    except StartError:
        try:
            overwrite(path, text.encode())
        except OSError:
            pass
        else:
            return
        raise


def sync_directory(path: Path) -> None:
    """A name that was made, replaced or removed in it is on the disk afterwards."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
