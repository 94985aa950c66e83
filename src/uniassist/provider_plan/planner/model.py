"""A goal, a plan, and what holds for every plan."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from uniassist.contracts.language import Language

EVERY_DAY = frozenset(range(7))
LEAST_WEEKLY_MINUTES = 60
MOST_DAILY_MINUTES = 480


@dataclass(frozen=True)
class Goal:
    """What is to be reached.

    `start`: the first day that may have work, the person's today. `due`: the day that it is due, or an event's
    first day; `ends`: an event's last day, else `due`. `weekly_minutes`: None where nobody said; then what the kind
    usually takes. `weekdays`: 0 for Monday. `away`: days without work, first and last of each stay.
    """

    text: str
    kind: str
    start: dt.date
    due: dt.date
    ends: dt.date
    weekly_minutes: int | None = None
    weekdays: frozenset[int] = EVERY_DAY
    away: tuple[tuple[dt.date, dt.date], ...] = ()
    notes: tuple[str, ...] = ()
    is_due_assumed: bool = False

    def __post_init__(self) -> None:
        if self.weekly_minutes is not None and not LEAST_WEEKLY_MINUTES <= self.weekly_minutes <= 7 * 24 * 60:
            raise ValueError(
                f"weekly_minutes {self.weekly_minutes}: expected {LEAST_WEEKLY_MINUTES} to {7 * 24 * 60}"
            )
        if not self.weekdays <= EVERY_DAY or not self.weekdays:
            raise ValueError(f"weekdays {sorted(self.weekdays)}: expected some of 0 to 6")

    def is_free(self, day: dt.date) -> bool:
        return day.weekday() in self.weekdays and not any(first <= day <= last for first, last in self.away)


@dataclass(frozen=True)
class Item:
    """What has to be done, without dates. `minutes`: what it usually takes, each time.

    `need`: 1 must, 2 should, 3 nice. `each_week`: how often, 0 for once. `on_day`: 0 for the event's first day and
    so on, None for what comes before it. `weight`: its part of the days.
    """

    title: str
    phase: int
    minutes: int
    need: int = 1
    each_week: int = 0
    on_day: int | None = None
    is_final: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class Step:
    """An item with its days, both included. `minutes`: each time, 0 on the days of the event itself."""

    item: Item
    first: dt.date
    last: dt.date
    minutes: int
    times: int = 1
    done_on: dt.date | None = None

    @property
    def total_minutes(self) -> int:
        return self.minutes * self.times


@dataclass(frozen=True)
class Phase:
    """`check`: what to ask oneself when it ends."""

    title: str
    check: str | None = None


@dataclass(frozen=True)
class Plan:
    """`steps`: in order; their numbers are their places, from 1. `slack`: days on which nothing is planned, kept
    for what went wrong. `left_out`: what there was no room for. `daily_minutes`: at most so much on a day that has
    work. `is_tight`: less than 60% of the usual time is there.
    """

    goal: Goal
    language: Language
    phases: tuple[Phase, ...]
    steps: tuple[Step, ...]
    slack: tuple[dt.date, ...]
    left_out: tuple[Item, ...]
    daily_minutes: int
    is_tight: bool = False

    @property
    def open(self) -> tuple[Step, ...]:
        return tuple(each for each in self.steps if each.done_on is None)

    def number(self, step: Step) -> int:
        return self.steps.index(step) + 1

    def checkpoint(self, phase: int) -> dt.date | None:
        """The day on which the phase is looked back at; None where none of it is planned, nothing is asked, or a
        later one ends on the same day."""
        ends = [self._end(each) for each in range(phase, len(self.phases))]
        return ends[0] if self.phases[phase].check is not None and ends[0] not in ends[1:] else None

    def _end(self, phase: int) -> dt.date | None:
        days = (each.last for each in self.steps if each.item.phase == phase and each.item.on_day is None)
        return max(days, default=None)

    def busiest_week(self) -> int:
        """Minutes of the week that has most, a step's time being spread over its days."""
        return math.ceil(max(self._weeks().values(), default=0))

    def with_step(self, number: int, step: Step) -> Plan:
        return replace(self, steps=(*self.steps[: number - 1], step, *self.steps[number:]))

    def problems(self) -> Iterator[str]:
        """What must never be: nothing, for every plan that is made or changed."""
        goal = self.goal
        if not self.steps or not goal.text.strip():
            yield "a plan without steps or goal"
        before = None
        for step in self.steps:
            if not step.item.title.strip() or step.first > step.last or step.times < 1 or step.minutes < 0:
                yield f"an empty step: {step}"
            if step.done_on is not None:
                continue
            if not goal.start <= step.first <= step.last <= goal.ends:
                yield f"out of range: {step}"
            if before is not None and (step.first < before.first or step.last < before.last):
                yield f"out of order: {step}"
            if step.minutes == 0 and step.item.on_day is None:
                yield f"no time for {step}"
            before = step
        for monday, minutes in self._weeks().items():
            if goal.weekly_minutes is not None and minutes > goal.weekly_minutes:
                yield f"{minutes} minutes in the week of {monday}, {goal.weekly_minutes} available"
        if any(step.first <= day <= step.last for day in self.slack for step in self.open):
            yield "work on a day that is kept free"

    def _weeks(self) -> dict[dt.date, float]:
        """Monday → minutes, a step's time being spread over its days with work."""
        found: dict[dt.date, float] = {}
        for step in self.open:
            span = [step.first + dt.timedelta(days=at) for at in range((step.last - step.first).days + 1)]
            days = [day for day in span if self.goal.is_free(day)] or span
            for day in days:
                monday = day - dt.timedelta(days=day.weekday())
                found[monday] = found.get(monday, 0) + step.total_minutes / len(days)
        return found
