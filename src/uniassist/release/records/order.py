"""What came before what, without a clock: a count that each run and record of a home takes its number from."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from uniassist.errors import StartError
from uniassist.release.durable_files import make_directory

_WIDTH = 20


@dataclass(frozen=True)
class Moment:
    """When something was: its number, where it has one, and what the clock said."""

    order: int | None
    at: str

    def before(self, other: Moment) -> bool:
        """By their numbers; by the clock only where one of the two has none."""
        if self.order is not None and other.order is not None:
            return self.order < other.order
        return self.at < other.at


def next_number(home: Path) -> int:
    """One more than any before. StartError when it can't be written."""
    path = home / "order"
    try:
        make_directory(home)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for an instant
            text = os.pread(descriptor, _WIDTH, 0).strip()
            number = int(text) + 1 if text.isdigit() else 1
            # Always of one width: a full disk has room for it.
            os.pwrite(descriptor, str(number).ljust(_WIDTH).encode(), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StartError(f"{path} can't be written: {error.strerror}") from None
    return number
