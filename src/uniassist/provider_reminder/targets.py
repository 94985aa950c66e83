"""Which of a person's reminders a text means. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from uniassist.contracts.scripts import simplified
from uniassist.provider_reminder.asked import Which
from uniassist.provider_reminder.when import said_plainly
from uniassist.store.reminders import Reminder
from uniassist.times import Day, Days, Moment, Period, Repeat, read

_SAYING_NOTHING = frozenset(
    re.split(
        r"\s+",
        """
    a about again alarm all an and at back bring by cancel change clear delay delete don't drop earlier
    everything for forward from get hour hours i in instead it later longer make me minute minutes move my no of
    off on one ones please postpone push put remind reminder reminders remove reschedule rid set snooze stop
    that the this to turn
""".strip(),
    )
)
_FILLING_ZH = re.compile(
    r"取消|删除|删掉|删了|去掉|不用|不要|别|再|提醒|闹钟|待办|通知|改到|改成|改为|改|换到|换成|推迟|延后|提前|提早|往后|往前"
    r"|调到|挪到|那个|这个|一下|的|了|吧|我|把|请|个|条|给|都|全部|所有|叫|到|停止|稍后|后"
)
_WORD = re.compile(r"[a-z0-9']+")
_HAN = re.compile(r"[\u4e00-\u9fff]+")


def meant(
    which: Which, reminders: Sequence[Reminder], listed: Sequence[str], now: dt.datetime, *, new_time: bool
) -> list[Reminder]:
    """Those that are meant, several where it is open which; none where none is like it.

    `listed`: ids as they were last shown or spoken of: numbers count in it. `new_time`: the time in the text is
    a new one, and doesn't tell them apart.
    """
    by_id = {each.reminder_id: each for each in reminders}
    shown = [by_id[each] for each in listed if each in by_id]
    if which.numbers:
        places = [(len(listed) + each if each < 0 else each - 1) for each in which.numbers]
        if listed:
            return [by_id[listed[at]] for at in places if 0 <= at < len(listed) and listed[at] in by_id]
        return [reminders[at] for at in places if 0 <= at < len(reminders)]
    if which.is_all:
        return list(reminders)
    named = _named(which.words, reminders)
    if named:
        return named
    if not new_time and (timed := _timed(which.words, reminders, now)):
        return timed
    if _says_something(which.words, now):
        return []
    if len(shown) == 1:
        return shown
    return shown or list(reminders)


def _named(words: str, reminders: Sequence[Reminder]) -> list[Reminder]:
    """Those whose matter shares most with the words."""
    spoken = {each for each in _WORD.findall(words) if each not in _SAYING_NOTHING}
    scored = [(_likeness(words, spoken, simplified(each.matter).lower()), each) for each in reminders]
    best = max((score for score, _ in scored), default=0)
    return [each for score, each in scored if score == best] if best else []


def _likeness(words: str, spoken: set[str], matter: str) -> int:
    """Words in common, by their stems; of Chinese, characters of the longest part in common, two at least."""
    stems = {_stem(each) for each in _WORD.findall(matter)}
    score = 2 * sum(_stem(each) in stems for each in spoken if len(each) > 1)
    left = _FILLING_ZH.sub(" ", words)
    for part in _HAN.findall(left):
        for size in range(len(part), 1, -1):
            if any(part[at : at + size] in matter for at in range(len(part) - size + 1)):
                return score + size
    return score


def _stem(word: str) -> str:
    for ending in ("ing", "es", "s", "ed"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word


def _timed(words: str, reminders: Sequence[Reminder], now: dt.datetime) -> list[Reminder]:
    """Those at the time of day, of the day, or of the rule that the words name."""
    for reading in read(said_plainly(words), now):
        found: list[Reminder] = []
        for each in reminders:
            due = each.due_at.astimezone(now.tzinfo) if each.due_at is not None else None
            match reading.what:
                case Moment(at):
                    is_it = due is not None and (due.hour % 12, due.minute) == (at.hour % 12, at.minute)
                case Day(day):
                    is_it = due is not None and due.date() == day
                case Days(first, last):
                    is_it = due is not None and first <= due.date() <= last
                case Period(begins, ends):
                    is_it = due is not None and begins <= due < ends
                case Repeat(rule):
                    is_it = each.rule == rule
                case _:
                    is_it = False
            if is_it:
                found.append(each)
        if found:
            return found
    return []


def _says_something(words: str, now: dt.datetime) -> bool:
    """Whether there are words left that name something, without verbs, times and pronouns."""
    left = words
    for reading in reversed(read(said_plainly(words), now) if said_plainly(words) == words else []):
        left = left[: reading.begin] + " " + left[reading.end :]
    left = _FILLING_ZH.sub(" ", left)
    spoken = [each for each in _WORD.findall(left) if each not in _SAYING_NOTHING and not each.isdigit()]
    return bool(spoken) or any(len(each) > 1 for each in _HAN.findall(left))
