"""Small files that the drivers keep, read as what they should be or as nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


def read_as(path: Path, shape: type[T]) -> T | None:
    """None when it isn't there, or isn't one: whoever wrote it was another version, or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (OSError, msgspec.MsgspecError):
        return None


def base_python() -> str:
    """The system's, not a virtual environment's link to it: it outlives the tool's."""
    return os.path.realpath(sys.executable)
