"""A reminder changed by a sentence: another time or matter, later, earlier, ten minutes more. Pure."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace

from uniassist.provider_reminder.matter import cleaned
from uniassist.provider_reminder.recurring import counts_hours
from uniassist.provider_reminder.when import (
    Again,
    Draft,
    Lacking,
    Once,
    Past,
    When,
    at_clock,
    completed,
    found_in,
    is_bare_clock,
    moved,
    said_plainly,
)
from uniassist.store.reminders import Reminder
from uniassist.times import Ahead, Day, Days, Length, Moment, Reading, Repeat, localized, read

SNOOZE = Length(minutes=10)
_TO = re.compile(
    r"(?:改|换|调|挪)(?:成|为|到|在)|\s+(?:to|until|till|by|for|instead)\b.*|推迟|延后|提前|提早|往[前后]"
)
_NEW_MATTER = re.compile(
    r"(?:改成|改为|换成|(?:change|rename) (?:it|that|the \w+)(?: one)? to)\s*(?P<matter>.{1,200})$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Changed:
    """`reminder`: as it is now; None where something is lacking. `is_once`: of what recurs, the next time only."""

    reminder: Reminder | None = None
    lacks: Lacking | Past | None = None
    is_once: bool = False


def named_part(words: str) -> str:
    """What stands before the new time or matter: it may name the reminder, what follows doesn't."""
    found = _TO.search(words)
    if found is None:
        return words
    return words[: found.start()]


def changed(reminder: Reminder, to: str | When, now: dt.datetime, *, sign: int = 0) -> Changed:
    """`to`: the sentence, or the time that was asked back for. `sign`: of a length in it, later or earlier."""
    if not isinstance(to, str):
        return _to_when(reminder, to, now)
    text = said_plainly(to)
    readings = read(text, now)
    length = _length(readings) or _said_later(text, readings, now)
    assert reminder.due_at is not None, "it waits"
    due = reminder.due_at.astimezone(now.tzinfo)
    if sign and length is not None:
        return _to(reminder, moved(due, length, sign), now)
    times = [each for each in readings if not isinstance(each.what, Length | Ahead)]
    if not times:
        found = _NEW_MATTER.search(text)
        matter = cleaned(found["matter"]) if found is not None else ""
        return Changed(replace(reminder, matter=matter)) if matter else Changed(lacks=Lacking("time", Draft()))
    if len(times) == 1:
        words = text[times[0].begin : times[0].end]
        if is_bare_clock(words, now):
            return _to_clock(reminder, words, times[0], due, now)
        match times[0].what:
            case Day() | Days():
                day = times[0].what.day if isinstance(times[0].what, Day) else times[0].what.first
                return _to(reminder, localized(day, due.time(), now.tzinfo or dt.UTC), now)
            case Repeat(rule, first, at) if at is None:
                clock = due.time().replace(second=0)
                return _to_when(reminder, completed(Draft(rule=rule, first=first), f"{clock:%H:%M}", now), now)
    found_when = found_in(text, now)
    return _to_when(reminder, found_when.when if found_when is not None else None, now)


def snoozed(reminder: Reminder, text: str, now: dt.datetime) -> Reminder | Past:
    """Said again: after the length in the text, at its moment, or in ten minutes."""
    text = said_plainly(text)
    length = _length(read(text, now))
    found = found_in(text, now) if length is None else None
    if found is not None and isinstance(found.when, Past):
        return found.when
    at = found.when.at if found is not None and isinstance(found.when, Once) else moved(now, length or SNOOZE)
    return replace(reminder, due_at=at.replace(microsecond=0))


def _length(readings: list[Reading]) -> Length | None:
    for each in readings:
        if isinstance(each.what, Length):
            return each.what
        if isinstance(each.what, Ahead):
            return each.what.length
    return None


def _said_later(text: str, readings: list[Reading], now: dt.datetime) -> Length | None:
    """ "half an hour later" is counted from now where it stands alone; of a reminder it is said from its time."""
    for each in readings:
        if isinstance(each.what, Moment) and text[each.begin : each.end].lower().endswith("later"):
            return Length(minutes=round((each.what.at - now.replace(second=0, microsecond=0)).total_seconds() / 60))
    return None


def _to_clock(reminder: Reminder, words: str, reading: Reading, due: dt.datetime, now: dt.datetime) -> Changed:
    """Another time of day: of the same day, in the same half where none is said. Of what recurs, from now on."""
    at = at_clock(due.date(), words, now)
    if at is None:
        return Changed(lacks=Lacking("time", Draft()))
    is_guessed = isinstance(reading.what, Moment) and reading.what.is_guessed
    if is_guessed and at.hour < 12 <= due.hour and at.hour + 12 < 24:
        at = localized(at.date(), at.time().replace(hour=at.hour + 12), now.tzinfo or dt.UTC)
    if reminder.rule is None or counts_hours(reminder.rule):
        return _to(reminder, at, now)
    rule, anchor = reminder.rule, reminder.anchor or due
    when = completed(Draft(rule=rule, first=min(due.date(), max(anchor.date(), now.date()))), f"{at:%H:%M}", now)
    return _to_when(reminder, when, now)


def _to(reminder: Reminder, at: dt.datetime, now: dt.datetime) -> Changed:
    if at <= now:
        return Changed(lacks=Past(at, Draft()))
    return Changed(replace(reminder, due_at=at), is_once=reminder.rule is not None)


def _to_when(reminder: Reminder, when: When | None, now: dt.datetime) -> Changed:
    match when:
        case Once(at):
            return _to(reminder, at, now)
        case Again(rule, anchor, at):
            return Changed(replace(reminder, rule=rule, anchor=anchor, due_at=at))
        case Past() | Lacking():
            return Changed(lacks=when)
    return Changed(lacks=Lacking("time", Draft()))
