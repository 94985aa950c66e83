"""What can be read, as types. `str()` of each is a short form for tables and logs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Bound = Literal["by", "from"]


@dataclass(frozen=True)
class Day:
    day: dt.date

    def __str__(self) -> str:
        return self.day.isoformat()


@dataclass(frozen=True)
class Days:
    """From the first day to the last, both included."""

    first: dt.date
    last: dt.date

    def __str__(self) -> str:
        return f"{self.first}/{self.last}"


@dataclass(frozen=True)
class Moment:
    """With the person's zone. `is_guessed`: half of the day was not said ("at 5")."""

    at: dt.datetime
    is_guessed: bool = False

    def __str__(self) -> str:
        return _minute(self.at)


@dataclass(frozen=True)
class Period:
    """Within a day or over midnight, both with the person's zone."""

    begins: dt.datetime
    ends: dt.datetime

    def __str__(self) -> str:
        same_day = self.begins.date() == self.ends.date()
        return (
            f"{_minute(self.begins)}/{self.ends:%H:%M}"
            if same_day
            else f"{self.begins:%Y-%m-%dT%H:%M}/{_minute(self.ends)}"
        )


@dataclass(frozen=True)
class Length:
    """Months are of the calendar, whatever their days."""

    months: int = 0
    days: int = 0
    minutes: int = 0

    def __str__(self) -> str:
        hours, minutes = divmod(self.minutes, 60)
        date = "".join(f"{n}{unit}" for n, unit in ((self.months, "M"), (self.days, "D")) if n)
        time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
        return f"P{date}" + (f"T{time}" if time else "")

    def __add__(self, other: Length) -> Length:
        return Length(self.months + other.months, self.days + other.days, self.minutes + other.minutes)


@dataclass(frozen=True)
class Ahead:
    """So long before something that the sentence or the talk names: "提前一天"."""

    length: Length

    def __str__(self) -> str:
        return f"-{self.length}"


@dataclass(frozen=True)
class Repeat:
    """`rule`: an RFC 5545 RRULE without its name. `at`: the time of day in the person's zone, None for all day.
    `first`: the first one that comes."""

    rule: str
    first: dt.date
    at: dt.time | None = None

    def __str__(self) -> str:
        return f"{self.rule} {self.first}" + (f"T{self.at:%H:%M}" if self.at is not None else "")


What = Day | Days | Moment | Period | Length | Ahead | Repeat


@dataclass(frozen=True)
class Reading:
    """`begin`, `end`: the characters of the text that were read. `bound`: not later than it, or from it on."""

    what: What
    begin: int
    end: int
    bound: Bound | None = None

    def __str__(self) -> str:
        return {"by": "<=", "from": ">=", None: ""}[self.bound] + str(self.what)


def _minute(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M")
