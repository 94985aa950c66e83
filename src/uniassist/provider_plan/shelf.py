"""One person's kept plans as one call finds them, and what it wants written. No I/O: `keeper` reads and writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from uniassist.provider_plan.planner.model import Plan

MOST_PLANS = 50


@dataclass(frozen=True)
class Kept:
    """`deleted_at`: None where it isn't."""

    plan_id: str
    plan: Plan
    used_at: dt.datetime
    deleted_at: dt.datetime | None = None


@dataclass(frozen=True)
class Put:
    """A plan is new, changed or back."""

    plan_id: str
    plan: Plan


@dataclass(frozen=True)
class Used:
    """It was looked at."""

    plan_id: str


@dataclass(frozen=True)
class Deleted:
    plan_ids: tuple[str, ...]


@dataclass(frozen=True)
class Drafted:
    """What is known of a plan whose form is open."""

    task_id: str
    known: Mapping[str, str]


@dataclass(frozen=True)
class Linked:
    """`token`: of a new link to the calendar; `plan_id` None: of all plans."""

    token: str
    plan_id: str | None


Write = Put | Used | Deleted | Drafted | Linked


class Shelf:
    """`plans`: in the order in which they were made, so that a number stays while nothing before it is deleted.

    `is_kept` False: nothing is stored here, and a plan travels in the hint of the reply that is expected.
    `draft`: what is known of the plan whose form is submitted.
    `new_link`: a token and its URL; None: there is no address under which people reach us.
    """

    def __init__(
        self,
        plans: Sequence[Kept] = (),
        *,
        is_kept: bool = False,
        draft: Mapping[str, str] | None = None,
        new_link: Callable[[], tuple[str, str]] | None = None,
    ) -> None:
        self.plans = tuple(each for each in plans if each.deleted_at is None)
        self.deleted = tuple(each for each in plans if each.deleted_at is not None)
        self.is_kept = is_kept
        self.draft: Mapping[str, str] = draft or {}
        self.writes: list[Write] = []
        self._new_link = new_link

    @property
    def is_full(self) -> bool:
        return len(self.plans) >= MOST_PLANS

    def of(self, plan_id: str | None) -> Kept | None:
        return next((each for each in self.plans if each.plan_id == plan_id), None)

    def number(self, plan_id: str) -> int:
        return next(at for at, each in enumerate(self.plans, 1) if each.plan_id == plan_id)

    def put(self, plan_id: str, plan: Plan) -> None:
        """Another one takes the place of what has this id."""
        self.writes.append(Put(plan_id, plan))
        known = self.of(plan_id)
        if known is not None:
            self.plans = tuple(replace(each, plan=plan) if each.plan_id == plan_id else each for each in self.plans)
            return
        self.deleted = tuple(each for each in self.deleted if each.plan_id != plan_id)
        self.plans = (*self.plans, Kept(plan_id, plan, dt.datetime.now(dt.UTC)))

    def use(self, plan_id: str) -> None:
        self.writes.append(Used(plan_id))

    def delete(self, plan_ids: Sequence[str]) -> None:
        self.writes.append(Deleted(tuple(plan_ids)))
        self.plans = tuple(each for each in self.plans if each.plan_id not in plan_ids)

    def restore(self, plan_id: str | None = None) -> tuple[Kept, ...]:
        """What was deleted with that one, or else last; nothing where it is gone, or there is no room."""
        one = next((each for each in self.deleted if each.plan_id == plan_id), None)
        if one is None and plan_id is None:
            one = max(self.deleted, key=lambda each: each.deleted_at or each.used_at, default=None)
        if one is None:
            return ()
        back = tuple(each for each in self.deleted if each.deleted_at == one.deleted_at)
        if len(self.plans) + len(back) > MOST_PLANS:
            return ()
        for each in back:
            self.put(each.plan_id, each.plan)
        return back

    def note(self, task_id: str, known: Mapping[str, str]) -> None:
        """Nothing is no note, where there was none before: a form that isn't kept is read as one without."""
        if self.is_kept and (known or self.draft):
            self.writes.append(Drafted(task_id, known))

    def link(self, plan_id: str | None) -> str | None:
        """Where the calendar is to be had; None: nowhere, for nobody said under which address."""
        if self._new_link is None:
            return None
        token, url = self._new_link()
        self.writes.append(Linked(token, plan_id))
        return url
