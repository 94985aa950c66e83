"""A person's zone and clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

BEIJING = dt.timezone(dt.timedelta(hours=8))


def zone_of(name: str | None) -> dt.tzinfo:
    """The IANA zone of that name; Beijing's for none, an unknown one, or what is no name at all."""
    try:
        return ZoneInfo(name) if name else BEIJING
    except (KeyError, ValueError, OSError):  # OSError: a directory of the database
        return BEIJING


def now_in(at_ms: int, timezone: str | None) -> dt.datetime | None:
    """The person's clock at `at_ms` (Unix milliseconds), None where that is no date."""
    try:
        return dt.datetime.fromtimestamp(at_ms / 1000, zone_of(timezone))
    except (OverflowError, ValueError, OSError):
        return None


def localized(day: dt.date, at: dt.time, zone: dt.tzinfo) -> dt.datetime:
    """That wall clock in the zone. One that summer time skips is so much later; of two it is the first."""
    wall = dt.datetime.combine(day, at, zone)
    return wall.astimezone(dt.UTC).astimezone(zone)
