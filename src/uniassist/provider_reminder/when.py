"""When to remind, from what a sentence says of time: at once clear, or what is still to be asked. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from uniassist.provider_reminder.recurring import anchor_of, next_after
from uniassist.times import Ahead, Day, Days, Length, Moment, Period, Reading, Repeat, localized, read
from uniassist.times.calendars import months_after

LONGEST_DAYS = 3660

# What English says in words of its own, in those that are read.
_SAID_OTHERWISE = (
    (re.compile(r"\bevery (morning|afternoon|evening|night)\b", re.IGNORECASE), r"every day in the \1"),
    # "the day before we leave" is as open as "the day before": the day is asked for, or said beside it
    (
        re.compile(
            r"\b(?P<when>(?:the|a|one|two|three|\d) (?:days?|night|evening|morning) before) (?:(?:we|i|you|they) "
            r"(?:leave|go|fly|travel|depart|set off)|(?:the|my|our|that) (?:trip|flight|journey|departure|holiday|"
            r"vacation|travel)|leaving|departure)\b(?: (?:on|for)(?= ))?",
            re.IGNORECASE,
        ),
        r"\g<when>",
    ),
    (re.compile(r"\bthe day before\b(?! yesterday)", re.IGNORECASE), "a day before"),
    (re.compile(r"\bthe (?:evening|night) before\b", re.IGNORECASE), "a day before in the evening"),
    (re.compile(r"\bthe morning before\b", re.IGNORECASE), "a day before in the morning"),
    (
        re.compile(
            r"\b(make it|change (?:it|that) to|move (?:it|that) to|at)\s+(\d{1,2})(?=\s*[.!]?$)", re.IGNORECASE
        ),
        r"\1 at \2",
    ),
    (re.compile(r"\bat at\b", re.IGNORECASE), "at"),
)
_HALVES = {(0, 6): 2, (6, 12): 8, (12, 13): 12, (12, 18): 14, (18, 0): 20}
_SHORT_REPEAT = re.compile(r"(?:每隔?|\bevery\s+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Draft:
    """What is known of when, so far.

    `day`, `rule` with `first`: of what happens once, or again. `ahead`: so long before that.
    `clock`: words for the time of day, where they came before the day did.
    """

    day: dt.date | None = None
    rule: str | None = None
    first: dt.date | None = None
    ahead: Length | None = None
    clock: str = ""


@dataclass(frozen=True)
class Once:
    at: dt.datetime


@dataclass(frozen=True)
class Again:
    """`anchor`: as `recurring` has it; `at`: the first instant."""

    rule: str
    anchor: dt.datetime
    at: dt.datetime


@dataclass(frozen=True)
class Past:
    """It was over when it was said. `draft`: what may be kept of it."""

    at: dt.datetime
    draft: Draft


@dataclass(frozen=True)
class Lacking:
    """`what`: is to be asked for. `too_often`: for a repeat that is shorter than an hour."""

    what: str  # time, date, too_often
    draft: Draft


When = Once | Again | Past | Lacking


@dataclass(frozen=True)
class Found:
    """`used`: the readings that `when` is made of; the others are part of the matter.

    `also`: other times of day of the same repeat: "每天早上八点和晚上八点".
    """

    when: When
    used: Sequence[Reading]
    also: Sequence[Again] = ()


def said_plainly(text: str) -> str:
    for pattern, instead in _SAID_OTHERWISE:
        text = pattern.sub(instead, text)
    return text


def found_in(
    text: str, now: dt.datetime, *, near: int | None = None, base: dt.datetime | None = None
) -> Found | None:
    """When a sentence says to remind; None where it says nothing of time. `now`: with the person's zone.

    `near`: where the text speaks of reminding: the time beside it counts, another may be part of the matter.
    `base`: what was talked of last, for "a day before".
    """
    readings = read(text, now)
    if _is_too_often(text, readings):
        return Found(Lacking("too_often", Draft()), [])
    ahead = next((each for each in readings if isinstance(each.what, Ahead)), None)
    if ahead is not None:
        return _ahead(text, readings, ahead, now, base)
    chosen = _chosen(readings, near)
    if chosen is None:
        return None
    clock = next((each for each in readings if each is not chosen and is_bare_clock(_words(text, each), now)), None)
    match chosen.what:
        case Repeat(at=None) | Day() | Days() if clock is not None:
            return Found(_resolved(_draft_of(chosen, now, _words(text, clock)), now), [chosen, clock])
        case Moment(at):
            day = Draft() if is_bare_clock(_words(text, chosen), now) else Draft(day=at.date())
            return Found(_once(_to_the_second(_words(text, chosen), at, now), now, day), [chosen])
        case Period():
            return Found(_of_period(chosen.what, now), [chosen])
        case Repeat(rule, first, at) if at is not None:
            others = [each for each in readings if each is not chosen and is_bare_clock(_words(text, each), now)]
            also = [_again_at(rule, now.date(), _words(text, each), now) for each in others]
            when = _again(rule, dt.datetime.combine(first, at), now)
            return Found(when, [chosen, *others], [each for each in also if isinstance(each, Again)])
    return Found(_resolved(_draft_of(chosen, now, ""), now), [chosen])


def completed(draft: Draft, text: str, now: dt.datetime, base: dt.datetime | None = None) -> When | None:
    """What a reply makes of a draft; None where it says nothing of time."""
    text = said_plainly(text.strip())
    if re.fullmatch(r"\d{1,2}", text):
        text = f"at {text}"
    if (draft.day or draft.rule) and is_bare_clock(text, now):
        return _resolved(replace(draft, clock=text), now)
    readings = read(text, now)
    length = next((each.what for each in readings if isinstance(each.what, Length) and each.what.minutes), None)
    if length is not None and len(readings) == 1 and draft.ahead is None:
        return Once(_later(now, length))
    if draft.ahead is None and draft.rule is None:
        found = found_in(text, now, base=base)
        if found is None or not isinstance(found.when, Lacking) or not draft.clock:
            return found.when if found is not None else None
        return _resolved(replace(found.when.draft, clock=draft.clock), now)
    if draft.rule is not None:
        found = found_in(text, now)
        if found is None:
            return None
        if isinstance(found.when, Once):
            wall = dt.datetime.combine(draft.first or now.date(), found.when.at.time())
            return _again(draft.rule, wall, now)
        return found.when
    return _ahead_of(text, readings, draft, now)


def is_bare_clock(words: str, now: dt.datetime) -> bool:
    """Whether they name a time of day, and no day: "下午三点", "at 8", "in the evening"."""
    joined = read(f"{_joining_day(now)} {words}", now)
    return len(joined) == 1 and isinstance(joined[0].what, Moment | Period) and bool(read(words, now))


def at_clock(day: dt.date, words: str, now: dt.datetime) -> dt.datetime | None:
    """That day at the time of day that the words name."""
    joined = read(f"{day.isoformat()} {words}", now)
    if len(joined) != 1:
        return None
    match joined[0].what:
        case Moment(at):
            return at
        case Period(begins):
            return _hour_of(joined[0].what) or begins
    return None


def moved(at: dt.datetime, length: Length, sign: int = 1) -> dt.datetime:
    """So much later or earlier: months and days by the wall clock, minutes by the clock that never jumps."""
    day = months_after(at.date(), sign * length.months) + dt.timedelta(days=sign * length.days)
    wall = at if day == at.date() else localized(day, at.time(), at.tzinfo or dt.UTC)
    later = wall.astimezone(dt.UTC) + dt.timedelta(minutes=sign * length.minutes)
    return later.astimezone(at.tzinfo)


def _later(now: dt.datetime, length: Length) -> dt.datetime:
    return moved(now, length).replace(microsecond=0)


def _joining_day(now: dt.datetime) -> str:
    return (now.date() + dt.timedelta(days=400)).isoformat()


def _words(text: str, reading: Reading) -> str:
    return text[reading.begin : reading.end]


def _is_too_often(text: str, readings: Sequence[Reading]) -> bool:
    return any(
        isinstance(each.what, Length)
        and 0 < each.what.minutes < 60
        and not (each.what.days or each.what.months)
        and _SHORT_REPEAT.search(text[: each.begin]) is not None
        for each in readings
    )


def _chosen(readings: Sequence[Reading], near: int | None) -> Reading | None:
    """A repeat before all; else what stands beside the word that asks, moments before days."""
    times = [each for each in readings if isinstance(each.what, Moment | Period | Day | Days | Repeat)]
    if not times:
        return None
    repeats = [each for each in times if isinstance(each.what, Repeat)]
    if repeats:
        return repeats[0]
    if near is None:
        return next((each for each in times if isinstance(each.what, Moment)), times[0])

    def distance(each: Reading) -> tuple[int, int]:
        gap = min(abs(each.begin - near), abs(each.end - near)) if not each.begin <= near <= each.end else 0
        return gap // 6, not isinstance(each.what, Moment)

    return min(times, key=distance)


def _draft_of(reading: Reading, now: dt.datetime, clock: str) -> Draft:
    match reading.what:
        case Day(day):
            return Draft(day=day, clock=clock)
        case Days(first, last):
            return Draft(day=max(first, min(last, now.date())), clock=clock)
        case Repeat(rule, first):
            return Draft(rule=rule, first=first, clock=clock)
    return Draft(clock=clock)


def _resolved(draft: Draft, now: dt.datetime) -> When:
    """A draft with its clock: done, or what is missing."""
    if draft.rule is not None:
        at = at_clock(draft.first or now.date(), draft.clock, now) if draft.clock else None
        if at is None:
            return Lacking("time", replace(draft, clock=""))
        return _again(draft.rule, dt.datetime.combine(draft.first or now.date(), at.time()), now)
    if draft.day is None:
        return Lacking("date", draft)
    at = at_clock(draft.day, draft.clock, now) if draft.clock else None
    if at is None:
        if draft.day < now.date():
            return Past(localized(draft.day, dt.time(), now.tzinfo or dt.UTC), Draft())
        return Lacking("time", replace(draft, clock=""))
    return _once(moved(at, draft.ahead, -1) if draft.ahead is not None else at, now, Draft(day=draft.day))


def _once(at: dt.datetime, now: dt.datetime, draft: Draft) -> When:
    if at > now:
        return Once(at)
    return Past(at, draft if draft.day is not None and draft.day >= now.date() else Draft())


def _again(rule: str, wall: dt.datetime, now: dt.datetime) -> When:
    zone = now.tzinfo or dt.UTC
    anchor = anchor_of(rule, wall, zone)
    found = next_after(rule, anchor, zone, now)
    if found is None:
        return Lacking("date", Draft())
    return Again(rule, found[1], found[0].astimezone(zone))


def _again_at(rule: str, first: dt.date, clock: str, now: dt.datetime) -> When | None:
    at = at_clock(first, clock, now)
    return _again(rule, dt.datetime.combine(first, at.time()), now) if at is not None else None


def _to_the_second(words: str, at: dt.datetime, now: dt.datetime) -> dt.datetime:
    """ "in one minute" is so many seconds; other times are whole minutes."""
    minute = dt.timedelta(minutes=1)
    later = read(words, now + minute)
    is_counted = len(later) == 1 and isinstance(later[0].what, Moment) and later[0].what.at - at == minute
    return at.replace(second=now.second) if is_counted else at


def _hour_of(period: Period) -> dt.datetime | None:
    """Of a half of a day, the hour that a repeat has as well ("每天早上"): two hours after it begins."""
    hour = _HALVES.get((period.begins.hour, period.ends.hour))
    is_whole = period.begins.minute == period.ends.minute == 0
    return period.begins.replace(hour=hour) if hour is not None and is_whole else None


def _of_period(period: Period, now: dt.datetime) -> When:
    at = _hour_of(period) or period.begins
    if at <= now < period.ends:
        return Lacking("time", Draft(day=now.date()))
    return _once(at, now, Draft(day=at.date()))


def _ahead(
    text: str, readings: Sequence[Reading], ahead: Reading, now: dt.datetime, base: dt.datetime | None
) -> Found:
    assert isinstance(ahead.what, Ahead)
    others = [each for each in readings if each is not ahead and not isinstance(each.what, Length)]
    length = ahead.what.length
    draft = Draft(ahead=length)
    clocks = [each for each in others if is_bare_clock(_words(text, each), now)]
    days = [each for each in others if each not in clocks]
    if length.days or length.months:
        draft = replace(draft, clock=_words(text, clocks[0]) if clocks else "")
        when = _before(draft, days[0] if days else None, now, base)
        return Found(when, [ahead, *days[:1], *clocks[:1]])
    if days and isinstance(days[0].what, Day | Days) and clocks:  # "明天的会，下午三点，提前十分钟"
        joined = replace(_draft_of(days[0], now, _words(text, clocks[0])), ahead=length)
        return Found(_resolved(joined, now), [ahead, days[0], clocks[0]])
    named = (days or clocks)[:1]
    return Found(_before(draft, named[0] if named else None, now, base), [ahead, *named])


def _before(draft: Draft, named: Reading | None, now: dt.datetime, base: dt.datetime | None) -> When:
    """So long before what is named, or what was talked of."""
    length = draft.ahead
    assert length is not None
    if named is not None and isinstance(named.what, Moment):
        base = named.what.at
    elif named is not None and isinstance(named.what, Period):
        base = named.what.begins
    elif named is not None:
        found = _draft_of(named, now, draft.clock)
        if found.day is None:
            return Lacking("date", draft)
        if length.minutes and not (length.days or length.months):
            return Lacking("time", replace(draft, day=found.day))
        day = moved(localized(found.day, dt.time(12), now.tzinfo or dt.UTC), length, -1).date()
        return _resolved(Draft(day=day, clock=draft.clock), now)
    if base is None:
        return Lacking("date", draft)
    at = moved(base.astimezone(now.tzinfo), length, -1)
    if draft.clock:
        return _resolved(Draft(day=at.date(), clock=draft.clock), now)
    return _once(at, now, Draft(day=at.date()))


def _ahead_of(text: str, readings: Sequence[Reading], draft: Draft, now: dt.datetime) -> When | None:
    """A reply that says of what it is to be so long before."""
    named = _chosen(readings, None)
    if named is None:
        return None
    days = [each for each in readings if isinstance(each.what, Day | Days)]
    clocks = [each for each in readings if is_bare_clock(_words(text, each), now)]
    if days and clocks:
        whole = at_clock(_draft_of(days[0], now, "").day or now.date(), _words(text, clocks[0]), now)
        return _before(draft, None, now, whole)
    return _before(draft, named, now, None)
