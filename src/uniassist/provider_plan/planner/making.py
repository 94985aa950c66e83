"""Items on days: what a goal needs, laid out between its first day and the day that it is due."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from uniassist.contracts.language import Language
from uniassist.provider_plan.planner.kinds import kinds
from uniassist.provider_plan.planner.model import (
    MOST_DAILY_MINUTES,
    Goal,
    Item,
    Phase,
    Plan,
    Step,
)

_SLACK_SHARE = 10  # one day in ten is kept free
_LEAST_DAYS_FOR_SLACK = 6
_MOST_STEPS_A_DAY = 3
_MOST_MUSTS_A_DAY = 6  # LEAST_WEEKLY_MINUTES leaves eight minutes a day, one for each at least
_MOST_DAYS_BESIDE = 7  # for what is done once, where something else recurs and can use the days
_USED = 0.8  # of the time that there is
_MOST_DAYS_OF_EVENT = 31
_TIGHT = 0.6


def make(goal: Goal, language: Language) -> Plan:
    """A plan for the goal. ValueError where it is due before it starts, or ends before it is due."""
    if not goal.start <= goal.due <= goal.ends:
        raise ValueError(f"{goal.start}, {goal.due}, {goal.ends}: expected start, due, ends in order")
    kind = kinds()[goal.kind]
    items = (*kind.items[language], *event_items(goal, language))
    return lay_out(goal, language, phases_of(goal, language), items, begin_of(goal))


def begin_of(goal: Goal) -> dt.date:
    """The first day with work: no earlier than such a goal needs."""
    return max(goal.start, goal.due - dt.timedelta(days=kinds()[goal.kind].longest_days))


def phases_of(goal: Goal, language: Language) -> tuple[Phase, ...]:
    phases = kinds()[goal.kind].phases[language]
    during = kinds()[goal.kind].during[language]
    return (*phases, Phase(_EVENT_TITLES[language][len(during) > 1])) if during else phases


_EVENT_TITLES: dict[Language, tuple[str, str]] = {"zh": ("当天", "这几天"), "en": ("On the day", "While there")}


def event_items(goal: Goal, language: Language) -> list[Item]:
    """One for each of the event's days, up to a month of them."""
    kind = kinds()[goal.kind]
    titles, phase = kind.during[language], len(kind.phases[language])
    if not titles:
        return []
    days = min((goal.ends - goal.due).days + 1, _MOST_DAYS_OF_EVENT)
    return [Item(_title_of_day(titles, at, days), phase, 0, on_day=at) for at in range(days)]


def _title_of_day(titles: Sequence[str], at: int, days: int) -> str:
    """The first day's, the last day's, else the one between."""
    if len(titles) < 3:
        return titles[min(at, len(titles) - 1)]
    if at == 0:
        return titles[0]
    return titles[2] if at == days - 1 else titles[1]


def lay_out(
    goal: Goal,
    language: Language,
    phases: tuple[Phase, ...],
    items: Sequence[Item],
    begin: dt.date,
    done: Sequence[Step] = (),
) -> Plan:
    """The items on the free days from `begin` on. `done`: steps that stay as they are, in front of the
    others. An event's days are behind all else, done or not: a plan that is kept has the same numbers.
    """
    before = [each for each in items if each.on_day is None]
    main, final, slack = _windows(goal, begin)
    kept, left_out = _kept(before, main, final)
    early, late = [each for each in kept if not each.is_final], [each for each in kept if each.is_final]
    slots = [*_slots(early, main), *_slots(late, final)] if final else _slots([*early, *late], main)
    daily = _daily_minutes(goal, slots)
    planned = _timed(slots, daily, _eagerness(goal, slots, daily))
    usual = sum(_usual(item, days) for item, days in slots) + sum(each.minutes for each in left_out)
    worked = [each for each in done if each.item.on_day is None]
    lived = [each for each in done if each.item.on_day is not None]
    event = sorted([*lived, *_on_days(goal, items)], key=lambda each: each.item.on_day or 0)
    return Plan(
        goal=goal,
        language=language,
        phases=phases,
        steps=(*worked, *planned, *event),
        slack=tuple(slack),
        left_out=tuple(left_out),
        daily_minutes=daily,
        is_tight=sum(each.total_minutes for each in planned) < _TIGHT * usual,
    )


_Days = list[dt.date]
_Slot = tuple[Item, _Days]


def _windows(goal: Goal, begin: dt.date) -> tuple[_Days, _Days, _Days]:
    """Days for the work, for what comes last, and for nothing at all."""
    kind = kinds()[goal.kind]
    last = goal.due - dt.timedelta(days=1) if kind.is_event and goal.due > begin else goal.due
    last = max(last, begin)
    span = [begin + dt.timedelta(days=at) for at in range((last - begin).days + 1)]
    free = [day for day in span if goal.is_free(day)] or span
    final = [day for day in free if (last - day).days < kind.final_days][-max(1, len(free) // 3) :]
    main = [day for day in free if day not in set(final)]
    if not main:
        return free, [], []
    slack: _Days = []
    if len(free) >= _LEAST_DAYS_FOR_SLACK and len(main) > 2:
        count = min(kind.most_slack_days, max(1, len(free) // _SLACK_SHARE))
        main, slack = main[:-count], main[-count:]
    return main, final, slack


def _kept(items: list[Item], main: _Days, final: _Days) -> tuple[list[Item], list[Item]]:
    """What there is room for; the least needed goes first, of those the last."""
    kept = list(items)
    left_out: list[Item] = []
    for window, is_final in ((main, False), (final, True)) if final else ((main, None),):
        for need, most in ((3, _MOST_STEPS_A_DAY), (2, _MOST_STEPS_A_DAY), (1, _MOST_MUSTS_A_DAY)):
            here = [each for each in kept if is_final is None or each.is_final is is_final]
            over = len(here) - most * len(window)
            least = [each for each in reversed(here) if each.need == need][: max(0, over)]
            kept = [each for each in kept if each not in least]
            left_out += least
    return kept, left_out


def _daily_minutes(goal: Goal, slots: Sequence[_Slot]) -> int:
    """At most so much on a day. Where nobody said how much: what the kind usually has, or what it takes."""
    # Where none of the days is one that the person has, all are used, and each has less.
    on_days = len(goal.weekdays) if all(goal.is_free(day) for _, days in slots for day in days) else 7
    if goal.weekly_minutes is not None:
        return goal.weekly_minutes // on_days
    usual = kinds()[goal.kind].weekly_minutes // on_days
    return min(MOST_DAILY_MINUTES, max(usual, *(math.ceil(each) for each in _load(slots).values()), 1))


def _eagerness(goal: Goal, slots: Sequence[_Slot], daily: int) -> float:
    """How many times as often as usual something may recur, where somebody said that there is so much time."""
    recurring = sum(_usual(item, days) for item, days in slots if item.each_week)
    if goal.weekly_minutes is None or not recurring:
        return 1.0
    once = sum(_usual(item, days) for item, days in slots if not item.each_week)
    return max(1.0, (_USED * daily * len({day for _, days in slots for day in days}) - once) / recurring)


def _usual(item: Item, days: _Days) -> float:
    """Minutes that it takes over all its days."""
    return float(item.minutes * _times(item, days, 1.0))


def _times(item: Item, days: _Days, eagerness: float) -> int:
    if not item.each_week:
        return 1
    span = (days[-1] - days[0]).days + 1
    return max(1, min(len(days), round(eagerness * item.each_week * span / 7)))


def _load(slots: Sequence[_Slot]) -> dict[dt.date, float]:
    """Minutes on each day, a step's time being spread over its days."""
    found: dict[dt.date, float] = {}
    for item, days in slots:
        for day in days:
            found[day] = found.get(day, 0) + _usual(item, days) / len(days)
    return found


def _slots(items: Sequence[Item], days: _Days) -> list[_Slot]:
    """Each item's days, in order: a run of its own where there are enough, else one day shared with others. What
    recurs in a phase goes on side by side."""
    rows = [list(row) for _, row in groupby(enumerate(items), key=_row)]
    if not rows:
        return []
    weights = [max(item.weight for _, item in row) for row in rows]
    recurs = [row[0][1].each_week > 0 for row in rows]
    most = [len(days) if each or not any(recurs) else _MOST_DAYS_BESIDE for each in recurs]
    runs = _runs(weights, most, days)
    return [(item, run) for row, run in zip(rows, runs, strict=True) for _, item in row]


def _row(placed: tuple[int, Item]) -> tuple[int, int]:
    at, item = placed
    return (item.phase, -1) if item.each_week else (item.phase, at)


def _runs(weights: Sequence[float], most: Sequence[int], days: _Days) -> list[_Days]:
    """The days in order, a run for each weight: one day at least, at most `most` where others can have the rest."""
    count = len(weights)
    if len(days) < count:
        return [[days[at * len(days) // count]] for at in range(count)]
    exact = [1 + (len(days) - count) * each / sum(weights) for each in weights]
    over = sum(max(0.0, each - limit) for each, limit in zip(exact, most, strict=True))
    room = [weight if each < limit else 0.0 for weight, each, limit in zip(weights, exact, most, strict=True)]
    if over and sum(room):
        exact = [
            min(each, limit) + over * share / sum(room)
            for each, limit, share in zip(exact, most, room, strict=True)
        ]
    ends = [max(at, min(int(sum(exact[:at]) + 1e-9), len(days) - count + at)) for at in range(1, count)]
    return [days[begin:end] for begin, end in zip([0, *ends], [*ends, len(days)], strict=True)]


def _timed(slots: Sequence[_Slot], daily: int, eagerness: float) -> list[Step]:
    """With as much time as their days have: where a day has too little, each step on it gets its part."""
    load = _load(slots)
    on_day = Counter(day for _, days in slots for day in days)

    def capacity(item: Item, days: _Days) -> int:
        """Its part of each day, one minute at least; all of what is free where the day has more than is needed."""
        rate = _usual(item, days) / len(days)
        parts = (
            max(rate * daily / load[day], 1) if daily >= load[day] else 1 + rate * (daily - on_day[day]) / load[day]
            for day in days
        )
        return int(sum(parts))

    return [_step(item, days, capacity(item, days), eagerness) for item, days in slots]


def _step(item: Item, days: _Days, capacity: int, eagerness: float) -> Step:
    times = max(1, min(_times(item, days, eagerness), capacity // item.minutes))
    return Step(item, days[0], days[-1], min(item.minutes, capacity), times)


def _on_days(goal: Goal, items: Sequence[Item]) -> list[Step]:
    days = ((each, goal.due + dt.timedelta(days=each.on_day)) for each in items if each.on_day is not None)
    return [Step(each, day, day, 0) for each, day in days if day <= goal.ends]


def again(plan: Plan, today: dt.date, *, goal: Goal | None = None, begin: dt.date | None = None) -> Plan:
    """What isn't done, laid out anew from `begin` (today) on; what is done stays. ValueError as `make`."""
    new = goal if goal is not None else plan.goal
    begin = max(begin or today, today)
    new = replace(new, start=min(new.start, begin))
    if new.due < begin or new.ends < new.due:
        raise ValueError(f"{begin}, {new.due}, {new.ends}: expected begin, due, ends in order")
    done = [each for each in plan.steps if each.done_on is not None]
    items = [each.item for each in plan.steps if each.done_on is None and each.item.on_day is None]
    done_days = {each.item.on_day for each in done}
    events = [each for each in event_items(new, plan.language) if each.on_day not in done_days]
    return lay_out(new, plan.language, plan.phases, [*items, *events], begin, done)
