"""What a sentence's times are made of, before they are put together."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from uniassist.times.model import Bound, Length

HalfOfDay = Literal["small hours", "morning", "noon", "afternoon", "evening"]
# From and to, hours; 24 is the next day's midnight.
HOURS: dict[HalfOfDay, tuple[int, int]] = {
    "small hours": (0, 6),
    "morning": (6, 12),
    "noon": (12, 13),
    "afternoon": (12, 18),
    "evening": (18, 24),
}


@dataclass(frozen=True)
class OnDays:
    """A day, or some days in a row.

    `weekday`: 0 for Monday, where it is a bare one; `month_day`: where it is a day of any month.
    `month`: with `month_day`, where both are named.
    """

    first: dt.date
    last: dt.date
    half: HalfOfDay | None = None
    weekday: int | None = None
    month_day: int | None = None
    month: int | None = None

    @property
    def is_one(self) -> bool:
        return self.first == self.last


@dataclass(frozen=True)
class Half:
    name: HalfOfDay


@dataclass(frozen=True)
class Clock:
    """`is_clear`: no doubt of the half of the day. `is_weak`: no time unless something beside it is one."""

    hour: int
    minute: int = 0
    is_clear: bool = False
    is_weak: bool = False


@dataclass(frozen=True)
class Clocks:
    """From one to another: "2 to 4pm"."""

    first: Clock
    last: Clock


@dataclass(frozen=True)
class Every:
    """`weekdays`: as `OnDays.weekday`. `nth`: which of them in a month; -1 for the last, as in `month_days`."""

    freq: Literal["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
    interval: int = 1
    weekdays: tuple[int, ...] = ()
    nth: int | None = None
    month_days: tuple[int, ...] = ()
    half: HalfOfDay | None = None


@dataclass(frozen=True)
class Lasting:
    """`is_of_day`: "ahead" of a day that stands beside it: "国庆前三天", "3 days before Christmas"."""

    length: Length
    role: Literal["plain", "later", "within", "ahead", "ago"] = "plain"
    is_of_day: bool = False


@dataclass(frozen=True)
class Until:
    """ "到", "to": between two ends. `may_bound`: what nothing stands before is bounded by it, "until Friday"."""

    may_bound: bool = False


@dataclass(frozen=True)
class Bounding:
    """`is_behind`: it stands behind what it bounds."""

    bound: Bound
    is_behind: bool = False


Part = OnDays | Half | Clock | Clocks | Every | Lasting | Until | Bounding


@dataclass(frozen=True)
class Form:
    """`read`: the part, None where it is none after all; may raise ValueError or OverflowError for no such day."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str], dt.date], Part | None]


@dataclass(frozen=True)
class Placed:
    part: Part
    begin: int
    end: int


def form(pattern: str, read: Callable[[re.Match[str], dt.date], Part | None]) -> Form:
    return Form(re.compile(pattern), read)


def one(day: dt.date, half: HalfOfDay | None = None) -> OnDays:
    return OnDays(day, day, half)
