"""A plan changed as a person asks. The result holds what every plan holds."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace

from uniassist.provider_plan.planner.kinds import GENERAL, kind_of, kinds
from uniassist.provider_plan.planner.making import again, lay_out, make
from uniassist.provider_plan.planner.model import EVERY_DAY, Goal, Item, Plan, Step
from uniassist.provider_plan.planner.subjects import SUBJECTS

_LEAST_DAYS_MORE = 2
_MOST_TITLE = 200
_WORD = re.compile(r"[a-z0-9']+")
_MOST_STEPS = 100
_MOST_LEFT_OUT = 50
_MOST_STAYS_AWAY = 50


class Refused(Exception):
    """The change can't be had. `reason` names a phrase of `replies`, `values` what is put into it."""

    def __init__(self, reason: str, **values: object) -> None:
        super().__init__(reason)
        self.reason, self.values = reason, values


@dataclass(frozen=True)
class Show:
    """What to show: all of it, or what is to be done now."""

    is_next: bool = False


@dataclass(frozen=True)
class Done:
    """`numbers`: of steps; none: the first that is open. `title`: words of one, where no number was said."""

    numbers: tuple[int, ...] = ()
    title: str = ""


@dataclass(frozen=True)
class Undone:
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Shift:
    """Later by so many days, earlier where negative; all that is open, or a step and what follows it."""

    days: int
    number: int | None = None


@dataclass(frozen=True)
class Due:
    """Another day; `ends`: an event's last one. With `number` it is a step that is moved."""

    day: dt.date
    ends: dt.date | None = None
    number: int | None = None


@dataclass(frozen=True)
class Looser:
    """It is too tight."""


@dataclass(frozen=True)
class Sooner:
    """It is too slow."""


@dataclass(frozen=True)
class Instead:
    """Another goal, or another place or subject in it."""

    text: str


@dataclass(frozen=True)
class Hours:
    """Time that there is; None: as before."""

    weekly_minutes: int | None = None
    weekdays: frozenset[int] | None = None


@dataclass(frozen=True)
class Away:
    first: dt.date
    last: dt.date


@dataclass(frozen=True)
class Drop:
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Add:
    title: str


Change = Show | Done | Undone | Shift | Due | Looser | Sooner | Instead | Hours | Away | Drop | Add


def change(plan: Plan, wanted: Change, today: dt.date) -> Plan:
    """The plan as wanted. Refused where it can't be had."""
    try:
        changed = _changed(plan, wanted, today)
    except ValueError:
        raise Refused("no_room") from None
    if next(changed.problems(), None) is not None:
        raise Refused("no_room")
    return changed


def _changed(plan: Plan, wanted: Change, today: dt.date) -> Plan:
    match wanted:
        case Show():
            return plan
        case Done():
            return _done(plan, wanted, today)
        case Undone(numbers):
            for number in numbers:
                plan = plan.with_step(number, replace(_step(plan, number), done_on=None))
            return again(plan, today)
        case Shift(days, number):
            return _shift(plan, days, today) if number is None else _shift_step(plan, number, days, today)
        case Due():
            return _due(plan, wanted, today)
        case Looser():
            return _looser(plan, today)
        case Sooner():
            return _sooner(plan, today)
        case Instead(text):
            return _instead(plan, text, today)
        case Hours(minutes, weekdays):
            goal = replace(plan.goal, weekly_minutes=minutes or plan.goal.weekly_minutes)
            return again(plan, today, goal=replace(goal, weekdays=weekdays or goal.weekdays))
        case Away(first, last):
            away = (*plan.goal.away, (first, last))[-_MOST_STAYS_AWAY:]
            return again(plan, today, goal=replace(plan.goal, away=away))
        case Drop(numbers):
            return _drop(plan, numbers, today)
        case Add(title):
            return _add(plan, title, today)


def _step(plan: Plan, number: int) -> Step:
    if not 1 <= number <= len(plan.steps):
        raise Refused("no_such_step", number=number, count=len(plan.steps))
    return plan.steps[number - 1]


def _done(plan: Plan, wanted: Done, today: dt.date) -> Plan:
    numbers = wanted.numbers
    if not numbers and wanted.title:
        numbers = tuple(plan.number(each) for each in plan.open if _is_about(wanted.title, each.item.title))[:1]
    elif not numbers:
        numbers = tuple(plan.number(each) for each in plan.open[:1])
    if not numbers:
        raise Refused("which_step" if plan.open else "all_done")
    for number in numbers:
        step = _step(plan, number)
        if step.done_on is None:
            plan = plan.with_step(number, replace(step, first=min(step.first, today), last=today, done_on=today))
    return plan


def _is_about(said: str, title: str) -> bool:
    """ "住宿" is in the title, or each English word by its stem: "packing" is of "Pack: papers, chargers"."""
    if said.lower() in title.lower():
        return True
    words = [_stem(each) for each in _WORD.findall(said.lower())]
    return bool(words) and set(words) <= {_stem(each) for each in _WORD.findall(title.lower())}


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word


def _begin(plan: Plan) -> dt.date:
    work = [each.first for each in plan.open if each.item.on_day is None]
    return min(work, default=plan.goal.due)


def _shift(plan: Plan, days: int, today: dt.date) -> Plan:
    by = dt.timedelta(days=days)
    goal = replace(plan.goal, due=plan.goal.due + by, ends=plan.goal.ends + by, is_due_assumed=False)
    if goal.due < today:
        raise Refused("past", day=goal.due)
    if goal.weekdays == EVERY_DAY and not goal.away and _begin(plan) + by >= max(today, goal.start):
        return _carried(plan, goal, by)
    return again(plan, today, goal=goal, begin=min(max(_begin(plan) + by, today), goal.due))


def _carried(plan: Plan, goal: Goal, by: dt.timedelta) -> Plan:
    """All that is open as it lies, only later or earlier: every day is as good as another."""
    steps = (
        each if each.done_on is not None else replace(each, first=each.first + by, last=each.last + by)
        for each in plan.steps
    )
    return replace(plan, goal=goal, steps=tuple(steps), slack=tuple(day + by for day in plan.slack))


def _shift_step(plan: Plan, number: int, days: int, today: dt.date) -> Plan:
    """The step and what is open behind it. What comes before stays; so does the day that it is due, if it can."""
    step = _step(plan, number)
    if step.done_on is not None:
        raise Refused("done_already", number=number)
    if step.item.on_day is not None:
        return _shift(plan, days, today)
    earlier = [each for each in plan.steps[: number - 1] if each.done_on is None]
    after_earlier = max((each.last for each in earlier), default=today - dt.timedelta(days=1)) + dt.timedelta(
        days=1
    )
    begin = max(step.first + dt.timedelta(days=days), today, after_earlier)
    goal = plan.goal
    if begin >= goal.due:
        if kinds()[goal.kind].is_event:
            raise Refused("no_room")
        goal = replace(goal, due=max(goal.due, begin), ends=max(goal.ends, begin))
    kept = plan.steps[: number - 1]
    rest = [each for each in plan.steps[number - 1 :] if each.done_on is None]
    done = [each for each in plan.steps[number - 1 :] if each.done_on is not None]
    items = [each.item for each in rest]
    return lay_out(goal, plan.language, plan.phases, items, begin, (*kept, *done))


def _due(plan: Plan, wanted: Due, today: dt.date) -> Plan:
    if wanted.day < today:
        raise Refused("past", day=wanted.day)
    if wanted.number is not None:
        step = _step(plan, wanted.number)
        return _shift_step(plan, wanted.number, (wanted.day - step.first).days, today)
    goal = plan.goal
    length = goal.ends - goal.due
    ends = wanted.ends or wanted.day + length
    goal = replace(goal, due=wanted.day, ends=max(ends, wanted.day), is_due_assumed=False)
    return again(plan, today, goal=goal)


def _looser(plan: Plan, today: dt.date) -> Plan:
    """More days, where it is due on no event's day; else less to do."""
    goal = plan.goal
    if not kinds()[goal.kind].is_event:
        left = max((goal.due - today).days, 0)
        by = dt.timedelta(days=max(_LEAST_DAYS_MORE, left // 3))
        return again(plan, today, goal=replace(goal, due=goal.due + by, ends=goal.ends + by))
    for need in (3, 2):
        numbers = [plan.number(each) for each in plan.open if each.item.need == need]
        if numbers:
            return _drop(plan, tuple(numbers), today)
    raise Refused("only_musts", day=goal.due)


def _sooner(plan: Plan, today: dt.date) -> Plan:
    goal = plan.goal
    left = (goal.due - today).days
    if kinds()[goal.kind].is_event:
        raise Refused("event_stays", day=goal.due)
    if left < 4:
        raise Refused("no_room")
    due = goal.due - dt.timedelta(days=left // 4)
    return again(plan, today, goal=replace(goal, due=due, ends=max(due, goal.ends - (goal.due - due))))


def _instead(plan: Plan, text: str, today: dt.date) -> Plan:
    """The same plan for another place or subject; one of its own where that is another kind of goal."""
    kind = kind_of(text)
    goal = replace(plan.goal, text=replaced_subject(plan.goal.text, text))
    if kind in (GENERAL, plan.goal.kind):
        return replace(plan, goal=goal)
    new = Goal(
        text=text,
        kind=kind,
        start=today,
        due=goal.due,
        ends=goal.due,
        weekly_minutes=goal.weekly_minutes,
        weekdays=goal.weekdays,
        away=goal.away,
        notes=goal.notes,
        is_due_assumed=goal.is_due_assumed,
    )
    return make(new, plan.language)


def replaced_subject(goal: str, text: str) -> str:
    """ "去东京玩五天" with 大阪 is "去大阪玩五天"; what has no place or subject is the text."""
    for pattern in SUBJECTS:
        found = pattern.search(goal)
        if found is not None and pattern.search(text) is None:
            return f"{goal[: found.start('subject')]}{text}{goal[found.end('subject') :]}"
    return text


def _drop(plan: Plan, numbers: tuple[int, ...], today: dt.date) -> Plan:
    steps = [_step(plan, number) for number in numbers]
    left = [each for each in plan.steps if each not in steps]
    if not any(each.item.on_day is None for each in left):
        raise Refused("last_step")
    out = tuple(each.item for each in steps if each.done_on is None)
    changed = again(replace(plan, steps=tuple(left)), today)
    return replace(changed, left_out=(*changed.left_out, *out)[-_MOST_LEFT_OUT:])


def _add(plan: Plan, title: str, today: dt.date) -> Plan:
    """At the end of the phase that is under way."""
    if len(plan.steps) >= _MOST_STEPS:
        raise Refused("too_many_steps", most=_MOST_STEPS)
    work = [each for each in plan.open if each.item.on_day is None]
    like = work[0].item if work else plan.steps[-1].item
    item = Item(title[:_MOST_TITLE], like.phase if like.on_day is None else 0, 30, is_final=like.is_final)
    at = max((plan.number(each) for each in plan.open if each.item.phase == item.phase), default=len(plan.steps))
    day = max(today, plan.goal.start)
    steps = (*plan.steps[:at], Step(item, day, day, 30), *plan.steps[at:])
    return again(replace(plan, steps=steps), today)
