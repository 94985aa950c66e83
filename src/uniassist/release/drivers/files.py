"""Small files that the drivers keep: written whole or not at all, read as what they should be or as nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


def write_private(path: Path, content: bytes) -> None:
    """On the disk before anything relies on it, mode 0600 from the start."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)


def read_as(path: Path, shape: type[T]) -> T | None:
    """None when it isn't there, or isn't one: whoever wrote it was another version, or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (OSError, msgspec.MsgspecError):
        return None


def base_python() -> str:
    """The system's, not a virtual environment's link to it: it outlives the tool's."""
    return os.path.realpath(sys.executable)


def last_lines(path: Path, count: int) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16_384))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])
