"""A plan as a short JSON text and back. Days are counted from its first; what its kind says is not repeated."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from uniassist.contracts.language import Language
from uniassist.provider_plan.planner.kinds import kinds
from uniassist.provider_plan.planner.making import event_items, phases_of
from uniassist.provider_plan.planner.model import Goal, Item, Plan, Step

_MOST_NOTES = 500  # characters


class _Goal(msgspec.Struct, array_like=True):
    text: str
    kind: str
    start: dt.date
    due: int
    ends: int
    weekly_minutes: int | None
    weekdays: list[int]
    away: list[tuple[int, int]]
    notes: list[str]
    is_due_assumed: bool


class _Step(msgspec.Struct, array_like=True):
    """`usual`: minutes that it takes usually; `done`: a day, None while open."""

    title: str
    phase: int
    usual: int
    need: int
    each_week: int
    is_final: bool
    weight: float
    first: int = 0
    last: int = 0
    minutes: int = 0
    times: int = 1
    done: int | None = None


class _Plan(msgspec.Struct, rename={"daily": "m", "is_tight": "t", "left_out": "o"}):
    """`event`: for each of the event's days, when it was done."""

    goal: _Goal
    language: Language
    steps: list[_Step]
    event: list[int | None]
    slack: list[int]
    left_out: list[_Step]
    daily: int
    is_tight: bool


def kept(plan: Plan) -> str:
    start = plan.goal.start
    work = [each for each in plan.steps if each.item.on_day is None]
    event = [each for each in plan.steps if each.item.on_day is not None]
    text = _Plan(
        goal=_goal(plan.goal),
        language=plan.language,
        steps=[_step(each, start) for each in work],
        event=[_days(each.done_on, start) for each in event],
        slack=[(each - start).days for each in plan.slack],
        left_out=[_item(each) for each in plan.left_out],
        daily=plan.daily_minutes,
        is_tight=plan.is_tight,
    )
    return msgspec.json.encode(text).decode()


def restored(text: str) -> Plan | None:
    """None for what is no plan, or one that nobody could live by."""
    try:
        plan = _restored(msgspec.json.decode(text, type=_Plan))
        return plan if next(plan.problems(), None) is None else None
    except (msgspec.MsgspecError, ValueError, OverflowError, LookupError):
        return None


def _restored(text: _Plan) -> Plan:
    given = text.goal
    start = given.start
    goal = Goal(
        text=given.text,
        kind=given.kind if given.kind in kinds() else "general",
        start=start,
        due=start + dt.timedelta(days=given.due),
        ends=start + dt.timedelta(days=given.ends),
        weekly_minutes=given.weekly_minutes,
        weekdays=frozenset(given.weekdays),
        away=tuple(
            (start + dt.timedelta(days=first), start + dt.timedelta(days=last)) for first, last in given.away
        ),
        notes=tuple(given.notes),
        is_due_assumed=given.is_due_assumed,
    )
    phases = phases_of(goal, text.language)
    if any(not 0 <= each.phase < len(phases) for each in (*text.steps, *text.left_out)):
        raise ValueError("phase: expected one of the kind's")
    work = [_read(each, start) for each in text.steps]
    event = [
        Step(item, day, day, 0, done_on=_day(done, start))
        for item, done in zip(event_items(goal, text.language), text.event, strict=False)
        if (day := goal.due + dt.timedelta(days=item.on_day or 0))
    ]
    return Plan(
        goal=goal,
        language=text.language,
        phases=phases,
        steps=(*work, *event),
        slack=tuple(start + dt.timedelta(days=each) for each in text.slack),
        left_out=tuple(_read_item(each) for each in text.left_out),
        daily_minutes=text.daily,
        is_tight=text.is_tight,
    )


def _goal(goal: Goal) -> _Goal:
    return _Goal(
        text=goal.text,
        kind=goal.kind,
        start=goal.start,
        due=(goal.due - goal.start).days,
        ends=(goal.ends - goal.start).days,
        weekly_minutes=goal.weekly_minutes,
        weekdays=sorted(goal.weekdays),
        away=[((first - goal.start).days, (last - goal.start).days) for first, last in goal.away],
        notes=_shortened(goal.notes),
        is_due_assumed=goal.is_due_assumed,
    )


def _shortened(notes: Sequence[str]) -> list[str]:
    """As many as there is room for."""
    found, left = [], _MOST_NOTES
    for each in notes:
        left -= len(each)
        if left >= 0:
            found.append(each)
    return found


def _item(item: Item) -> _Step:
    return _Step(
        item.title, item.phase, item.minutes, item.need, item.each_week, item.is_final, round(item.weight, 2)
    )


def _step(step: Step, start: dt.date) -> _Step:
    found = _item(step.item)
    found.first, found.last = (step.first - start).days, (step.last - start).days
    found.minutes, found.times, found.done = step.minutes, step.times, _days(step.done_on, start)
    return found


def _read_item(given: _Step) -> Item:
    return Item(
        title=given.title,
        phase=given.phase,
        minutes=given.usual,
        need=given.need,
        each_week=given.each_week,
        is_final=given.is_final,
        weight=given.weight,
    )


def _read(given: _Step, start: dt.date) -> Step:
    return Step(
        item=_read_item(given),
        first=start + dt.timedelta(days=given.first),
        last=start + dt.timedelta(days=given.last),
        minutes=given.minutes,
        times=given.times,
        done_on=_day(given.done, start),
    )


def _days(day: dt.date | None, start: dt.date) -> int | None:
    return (day - start).days if day is not None else None


def _day(days: int | None, start: dt.date) -> dt.date | None:
    return start + dt.timedelta(days=days) if days is not None else None
