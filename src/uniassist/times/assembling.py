"""Parts that stand together become one reading: "下周二" + "下午" + "三点"."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from uniassist.times.calendars import months_after
from uniassist.times.model import Ahead, Bound, Day, Days, Length, Moment, Period, Reading, What
from uniassist.times.parts import (
    HOURS,
    Bounding,
    Clock,
    Clocks,
    Every,
    Half,
    HalfOfDay,
    Lasting,
    OnDays,
    Part,
    Placed,
    Until,
)
from uniassist.times.repeating import repeat
from uniassist.times.zones import localized

_LAST_WEAK_HOUR = 5  # "明天三点" is in the afternoon, "明天六点" may be either and is taken as written


@dataclass
class _End:
    """One end of a range, or all of what is no range."""

    days: OnDays | None = None
    half: HalfOfDay | None = None
    clock: Clock | None = None

    def takes(self, part: Part) -> bool:
        match part:
            case OnDays():
                free = self.days is None and not (part.half and self.half)
                if free:
                    self.days, self.half = part, self.half or part.half
                return free
            case Half():
                free = self.half is None or (self.half == part.name and self.clock is None)
                self.half = self.half or part.name
                return free
            case Clock():
                free = self.clock is None
                self.clock = self.clock or part
                return free
        return False

    @property
    def is_empty(self) -> bool:
        return self.days is None and self.half is None and self.clock is None


class Group:
    """Parts in a row, nothing but filling between them."""

    def __init__(self) -> None:
        self.first, self.last = _End(), _End()
        self.is_range = False
        self.every: Every | None = None
        self.lasting: Lasting | None = None
        self.bound: Bound | None = None
        self.begin = self.end = -1  # of what was read
        self.reach = -1  # the end of the last part, a "to" that nothing follows included
        self._is_closed = False

    @property
    def is_empty(self) -> bool:
        return self.every is None and self.lasting is None and self.first.is_empty

    def takes(self, placed: Placed) -> bool:
        """Whether the part is one of this group's from now on."""
        taken = not self._is_closed and self._takes(placed.part)
        if taken:
            self.begin = placed.begin if self.begin < 0 else self.begin
            self.reach = placed.end
            if not isinstance(placed.part, Until):
                self.end = placed.end
        return taken

    def _takes(self, part: Part) -> bool:
        match part:
            case Bounding(bound, is_behind):
                if is_behind == self.is_empty or self.bound not in (None, bound):
                    return False
                if is_behind and bound == "from" and self.first.clock is not None and self.bound is None:
                    return False  # "九点开始" says when something begins, not from when on
                self.bound, self._is_closed = bound, is_behind
                return True
            case Until(may_bound):
                if may_bound and self.is_empty and self.bound is None:
                    self.bound = "by"
                    return True
                if self.is_range or self.first.is_empty or self.lasting is not None:
                    return False
                self.is_range = True
                return True
            case Every():
                return self._takes_every(part)
            case Lasting():
                return self._takes_lasting(part)
            case Clocks(first, last):
                if self.is_range or self.first.clock is not None or self.lasting is not None:
                    return False
                self.first.clock, self.last.clock, self.is_range = first, last, True
                return True
        if self.lasting is not None and not self._goes_on(self.lasting, part):
            return False
        if self.is_range and self.last.takes(part):
            return True
        is_last_days = self.is_range and isinstance(part, OnDays) and self.first.days is None
        return (not self.is_range or is_last_days) and self.first.takes(part)

    def _goes_on(self, lasting: Lasting, part: Part) -> bool:
        """ "三天后下午三点"; "3 days before Christmas"."""
        if lasting.length.minutes:
            return False
        if isinstance(part, OnDays):
            return lasting.is_of_day and self.first.is_empty
        return lasting.role == "later" or (lasting.is_of_day and self.first.days is not None)

    def _takes_every(self, part: Every) -> bool:
        if self.lasting is not None:
            return False
        if self.every is None:
            self.every = part
            return True
        joins = part.freq == self.every.freq == "WEEKLY" and not self.every.weekdays
        if joins:
            self.every = Every("WEEKLY", self.every.interval, part.weekdays)
        return joins

    def _takes_lasting(self, part: Lasting) -> bool:
        is_before_day = part.is_of_day and self.first.days is not None and self.lasting is None
        is_before_day = (
            is_before_day and self.first.half is None and self.first.clock is None and not part.length.minutes
        )
        if self.every is not None or not (self.first.is_empty or is_before_day) or self.is_range:
            return False
        if self.lasting is None:
            self.lasting = part
            return True
        # "一小时30分钟后": one length. "两天两小时" likewise, never two of a kind.
        earlier, later = self.lasting.length, part.length
        is_one = self.lasting.role == "plain" and not (earlier.minutes and (later.days or later.months))
        if is_one and earlier != later:
            self.lasting = Lasting(earlier + later, part.role)
            return True
        return False


def assemble(group: Group, now: dt.datetime) -> Reading | None:
    """None where its parts are no time together. `now` has the person's zone."""
    if group.is_empty or _is_weak(group):
        return None
    try:
        what, bound = _what(group, now)
    except (ValueError, OverflowError):
        return None
    if what is None:
        return None
    if isinstance(what, Length | Ahead) or (
        isinstance(what, Days | Period) and group.is_range and group.bound == "from"
    ):
        return Reading(what, group.begin, group.end)  # "from … to …" has both ends; "by two days" is no bound
    return Reading(what, group.begin, group.end, group.bound or bound)


def _is_weak(group: Group) -> bool:
    clock, first = group.first.clock, group.first
    alone = group.every is None and first.days is None and first.half is None and not group.is_range
    return clock is not None and clock.is_weak and alone


def _what(group: Group, now: dt.datetime) -> tuple[What | None, Bound | None]:
    if group.every is not None:
        return repeat(group.every, group.first.days, group.last.days, _time_of_repeat(group), now), None
    if group.lasting is not None:
        if not group.first.is_empty:
            return _single(_moved(group.first, group.lasting, now), now), None
        return _of_length(group.lasting, now)
    if group.is_range and not group.last.is_empty:
        return _range(group, now), None
    return _single(group.first, now), None


def _time_of_repeat(group: Group) -> dt.time | None:
    half = group.first.half or group.last.half or (group.every.half if group.every is not None else None)
    clock = group.first.clock or group.last.clock
    if clock is None:
        return dt.time(HOURS[half][0] + (2 if half != "noon" else 0)) if half is not None else None
    hour, minute = _hour(clock, half, has_day=True)
    return dt.time(hour % 24, minute)


def _moved(end: _End, lasting: Lasting, now: dt.datetime) -> _End:
    """The day that the length leads to: from now on, or back from the day that stands beside it."""
    length = lasting.length
    if end.days is None:
        day = after(now, length).date()
    else:
        day = months_after(end.days.first, -length.months) - dt.timedelta(days=length.days)
    return _End(OnDays(day, day), end.half, end.clock)


def _of_length(lasting: Lasting, now: dt.datetime) -> tuple[What | None, Bound | None]:
    length = lasting.length
    if lasting.role == "plain":
        return length, None
    if lasting.role == "ahead":
        return Ahead(length), None
    later = after(now, length, sign=-1 if lasting.role == "ago" else 1)
    what: What = Moment(later) if length.minutes else Day(later.date())
    return what, "by" if lasting.role == "within" else None


def after(now: dt.datetime, length: Length, *, sign: int = 1) -> dt.datetime:
    """So long after a person's `now`: months and days by the calendar, minutes by the clock that never jumps."""
    day = months_after(now.date(), sign * length.months) + dt.timedelta(days=sign * length.days)
    zone = now.tzinfo or dt.UTC
    wall = now if day == now.date() else localized(day, now.time(), zone)
    later = wall.astimezone(dt.UTC) + dt.timedelta(minutes=sign * length.minutes)
    return later.astimezone(zone).replace(second=0, microsecond=0)


def _single(end: _End, now: dt.datetime) -> What | None:
    if end.clock is not None:
        return _moment(end, now)
    if end.half is not None:
        if end.half == "noon":
            return _moment(_End(end.days, None, Clock(12, is_clear=True)), now)
        return _half_of_day(end.days.first if end.days is not None else None, end.half, now)
    return _days(end.days) if end.days is not None else None


def _days(days: OnDays) -> Day | Days:
    return Day(days.first) if days.is_one else Days(days.first, days.last)


def _half_of_day(day: dt.date | None, half: HalfOfDay, now: dt.datetime) -> Period:
    begins, ends = HOURS[half]
    if day is None:
        day = now.date() + dt.timedelta(days=now.hour >= ends)
    return Period(_at(day, begins, 0, now), _at(day, ends, 0, now))


def _at(day: dt.date, hour: int, minute: int, now: dt.datetime) -> dt.datetime:
    """`hour` may be 24 and more: the day after."""
    day += dt.timedelta(days=hour // 24)
    return localized(day, dt.time(hour % 24, minute), now.tzinfo or dt.UTC)


def _hour(clock: Clock, half: HalfOfDay | None, *, has_day: bool) -> tuple[int, int]:
    """Hours since the day's first midnight, 24 being the last, and minutes; in the half said or likely."""
    hour = clock.hour
    if half in ("afternoon", "evening") and hour < 12:
        hour += 12
    elif half == "evening" and hour == 12:
        hour = 24
    elif half == "noon" and hour < 11:
        hour += 12
    elif half in ("morning", "small hours") and hour in (12, 24):
        hour = 0
    elif half is None and has_day and not clock.is_clear and 1 <= hour <= _LAST_WEAK_HOUR:
        hour += 12
    return hour, clock.minute


def _moment(end: _End, now: dt.datetime) -> Moment | None:
    clock = end.clock
    assert clock is not None
    if end.days is not None and not end.days.is_one:
        return None
    is_guessed = end.half is None and not clock.is_clear and clock.hour != 12
    hour, minute = _hour(clock, end.half, has_day=end.days is not None)
    if end.days is not None:
        at = _at(end.days.first, hour, minute, now)
        if is_guessed and at <= now and hour < 12 and end.days.first == now.date():
            at = _at(end.days.first, hour + 12, minute, now)
        if end.days.weekday is not None and at <= now:  # "周三九点", said on Wednesday at ten
            at = _at(end.days.first + dt.timedelta(weeks=1), hour, minute, now)
        return Moment(at, is_guessed)
    hours = (hour, hour + 12, hour + 24) if is_guessed else (hour, hour + 24)
    return Moment(
        next(at for each in hours if (at := _at(now.date(), each, minute, now)) > now or each >= 24), is_guessed
    )


def _range(group: Group, now: dt.datetime) -> What | None:
    first, last = group.first, group.last
    if first.clock is None and last.clock is None:
        return _range_of_days(first, last, now)
    if first.clock is None or last.clock is None:
        return None
    last_half = last.half
    if last_half is None and last.days is None and not last.clock.is_clear:
        last_half = first.half if first.half != "small hours" else None
    begins = _moment(first, now)
    if begins is None:
        return None
    day = last.days.first if last.days is not None else begins.at.date()
    hour, minute = _hour(last.clock, last_half, has_day=False)
    ends = _at(day, hour, minute, now)
    if ends <= begins.at and not last.clock.is_clear and last_half is None and hour < 12:
        ends = _at(day, hour + 12, minute, now)
    if ends <= begins.at and last.days is None:
        ends = _at(day + dt.timedelta(days=1), hour, minute, now)
    return Period(begins.at, ends) if ends > begins.at else None


def _range_of_days(first: _End, last: _End, now: dt.datetime) -> What | None:
    begins = first.days
    if begins is None or first.half is not None or last.half is not None or last.days is None:
        return None
    ends = last.days
    last_day = ends.last
    if ends.weekday is not None:  # "下周一到周三": the first one after
        last_day = begins.first + dt.timedelta(days=(ends.weekday - begins.first.weekday()) % 7)
    elif ends.month_day is not None and ends.month is None:  # "10月1日到7日"
        last_day = months_after(begins.first, int(ends.month_day < begins.first.day), ends.month_day)
    elif ends.month_day is not None and last_day < begins.first:
        last_day = months_after(last_day, 12)
    return Days(begins.first, last_day) if last_day > begins.first else None


def groups(parts: Iterable[Placed], is_filling: Callable[[int, int], bool]) -> list[Group]:
    """`is_filling(begin, end)`: whether the text between two parts says nothing."""
    found: list[Group] = []
    open_group: Group | None = None
    for placed in parts:
        if open_group is not None and is_filling(open_group.reach, placed.begin) and open_group.takes(placed):
            continue
        open_group = Group()
        if open_group.takes(placed):
            found.append(open_group)
        else:
            open_group = None
    return found
