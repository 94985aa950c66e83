"""A sentence in, its times out."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence

from uniassist.contracts.scripts import simplified
from uniassist.times import chinese, chinese_clock, english, english_clock
from uniassist.times.assembling import assemble, groups
from uniassist.times.model import Day, Days, Moment, Period, Reading
from uniassist.times.parts import Form, Placed

READ_CHARACTERS = 2000
_CHINESE: tuple[Form, ...] = (*chinese.FORMS, *chinese_clock.FORMS)
_ENGLISH: tuple[Form, ...] = (*english.FORMS, *english_clock.FORMS)
# Whatever a form reads has one of these: a text in one language alone is read by half of them. The English dashes
# also stand between Chinese days.
_OF_CHINESE = re.compile(r"[^\x00-\x7f]|\d")
_OF_ENGLISH = re.compile(r"[a-z\d~–—-]")
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: 0x20,
    ord("’"): ord("'"),
    ord("‘"): ord("'"),
}
_FILLING = re.compile(r"\s*(?:,\s*)?(?:(?:的|在|零|at|on|in|of|the)(?:\s+|(?<=[的在零])))*")
_BEFORE = re.compile(r"(?:^|(?<=\W))(?:on|at)\s+$")


def read(text: str, now: dt.datetime) -> list[Reading]:
    """The times that `text` names, in its order. `now`: the person's clock, with their zone (`zones.now_in`).

    A week begins on Monday: "下周五" and "next Friday" are of the week after this one. What has no year is the next
    one that comes; so is a time without a day. An hour from one to five, said with a day and without a half of it,
    is in the afternoon. Only the first 2,000 characters are read.
    """
    folded = _folded(text[:READ_CHARACTERS])

    def is_filling(begin: int, end: int) -> bool:
        return _FILLING.fullmatch(folded, begin, end) is not None

    found = (assemble(each, now) for each in groups(_parts(folded, now.date()), is_filling))
    return [_with_preposition(each, folded) for each in found if each is not None]


def rest(text: str, readings: Iterable[Reading]) -> str:
    """What is left of the text without the words that were read."""
    left, at = [], 0
    for each in readings:
        left.append(text[at : each.begin])
        at = each.end
    return " ".join(" ".join([*left, text[at:]]).split())


def due_day(readings: Sequence[Reading], today: dt.date) -> dt.date | None:
    """The day that something is due by: the one said to be, else the first named that isn't over."""
    bounded = [each for each in readings if each.bound == "by"]
    for each in (*bounded, *(other for other in readings if other.bound is None)):
        day = _last_day(each)
        if day is not None and day >= today:
            return day
    return None


def _last_day(reading: Reading) -> dt.date | None:
    match reading.what:
        case Day(day):
            return day
        case Days(first, last):
            return first if reading.bound == "by" else last
        case Moment(at):
            return at.date()
        case Period(begins):
            return begins.date()
    return None


def _folded(text: str) -> str:
    """As long as the text: a place in one is the same place in the other."""
    plain = simplified(text).translate(_NARROW)
    return "".join(lower if len(lower := each.lower()) == 1 else each for each in plain)


def _parts(folded: str, today: dt.date) -> list[Placed]:
    """From left to right, the longest where some begin alike; none overlaps another."""
    found: list[Placed] = []
    forms = _CHINESE if _OF_CHINESE.search(folded) is not None else ()
    if _OF_ENGLISH.search(folded) is not None:
        forms += _ENGLISH
    for each in forms:
        for match in each.pattern.finditer(folded):
            try:
                part = each.read(match, today)
            except (ValueError, OverflowError):
                continue  # February 30
            if part is not None and match.end() > match.start():
                found.append(Placed(part, match.start(), match.end()))
    found.sort(key=lambda placed: (placed.begin, -placed.end))
    kept: list[Placed] = []
    for placed in found:
        if not kept or placed.begin >= kept[-1].end:
            kept.append(placed)
    return kept


def _with_preposition(reading: Reading, folded: str) -> Reading:
    """ "on Friday", "at the end of the month": the word before belongs to it."""
    before = _BEFORE.search(folded, max(0, reading.begin - 6), reading.begin)
    return Reading(reading.what, before.start(), reading.end, reading.bound) if before is not None else reading
