"""When what recurs is due: by the wall clock of where the person is. Pure.

A rule (RFC 5545) names wall clocks; each is an instant in the person's zone of the moment. One that summer time
skips is so much later, of two that are the same it is the first (`times.localized`). Hours are counted by the clock
that never jumps: "every two hours" is every two hours in such a night, too, and wherever the person travels.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from dateutil.rrule import rrulestr

from uniassist.times import localized

_MOST_STEPS = 20_000  # two years of hours
_MOST_MISSED = 1000


def anchor_of(rule: str, wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """What a rule that begins at that wall clock is counted from: a naive one, of UTC where hours are counted."""
    if not counts_hours(rule):
        return wall.replace(tzinfo=None)
    return wall.replace(tzinfo=zone).astimezone(dt.UTC).replace(tzinfo=None)


def next_after(
    rule: str, anchor: dt.datetime, zone: dt.tzinfo, after: dt.datetime
) -> tuple[dt.datetime, dt.datetime] | None:
    """The first occurrence, from the anchor on, that is later than `after`: its instant (UTC) and its wall clock.

    None: there is none within two years of hours, or until the year 9999.
    """
    return next((found for found in _from(rule, anchor, zone) if found[0] > after), None)


def missed(
    rule: str, anchor: dt.datetime, zone: dt.tzinfo, since: dt.datetime, until: dt.datetime
) -> tuple[int, dt.datetime]:
    """How many were due from `since` to `until`, both included, at most 1,000; and the last one's wall clock."""
    count, last = 0, anchor
    for instant, wall in _from(rule, anchor, zone):
        if instant > until or count == _MOST_MISSED:
            break
        last = wall
        count += instant >= since
    return count, last


def counts_hours(rule: str) -> bool:
    return "FREQ=HOURLY" in rule


def _from(rule: str, anchor: dt.datetime, zone: dt.tzinfo) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    where = dt.UTC if counts_hours(rule) else zone
    for step, wall in enumerate(rrulestr(f"RRULE:{rule}", dtstart=anchor)):
        if step == _MOST_STEPS:
            return
        try:
            yield localized(wall.date(), wall.time(), where).astimezone(dt.UTC), wall
        except OverflowError:
            return
