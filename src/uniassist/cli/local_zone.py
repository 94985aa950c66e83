"""The time zone of this machine, as providers want it: by its name of the IANA database."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCALTIME = Path("/etc/localtime")


def local_zone(localtime: Path = LOCALTIME) -> str | None:
    """By TZ, else by where /etc/localtime leads (tzset(3), localtime(5)). None: it has no name there."""
    named = os.environ.get("TZ", "").removeprefix(":")
    return _known((named or str(localtime.resolve())).rpartition("/zoneinfo/")[2])


def _known(name: str) -> str | None:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # POSIX's own rules, a file elsewhere, a folder
        return None
