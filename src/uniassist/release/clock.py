"""Times as the release tooling writes them: UTC, in ISO 8601, and lengths of time for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> str:
    """UTC, to the millisecond."""
    return utc(time.time())


def utc(moment: float) -> str:
    """Unix seconds as `now` says them: `2026-11-24T07:00:00.000Z`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp() -> str:
    """For file names: sorts by time, unique with the process's own suffix."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def seconds_since(began: float) -> float:
    """`began`: of the monotonic clock. Rounded to milliseconds."""
    return round(time.monotonic() - began, 3)


def length(seconds: float) -> str:
    """`20 s`, `15 min`, `2:30 min`: as an operator gives it."""
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.0f} min" if seconds % 60 == 0 else f"{minutes(seconds)} min"


def minutes(seconds: float) -> str:
    """`13:42`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
