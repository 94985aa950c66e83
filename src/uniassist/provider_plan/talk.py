"""What is being talked about. It travels as the hint of what we expect: which plan, or one that isn't kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from uniassist.contracts.provider import MAX_HINT_LENGTH, InvokeRun
from uniassist.provider_plan.planner.keeping import kept, restored
from uniassist.provider_plan.planner.model import Plan

MOST_MISSES = 2


class _Note(msgspec.Struct, rename="camel", omit_defaults=True):
    task_id: str
    known: dict[str, str]
    misses: int = 0
    plan: msgspec.Raw = msgspec.Raw(b"null")
    plan_id: str | None = None
    pending: str | None = None


@dataclass(frozen=True)
class Talk:
    """`known`: what was said of the form's fields so far. `misses`: replies in a row in which nothing was read.
    `plan`: the one that was made of it, where it isn't kept; `plan_id`: where it is. `pending`: what is to be done
    with the plan that the person is asked to choose; None: nothing is asked."""

    task_id: str
    known: Mapping[str, str]
    misses: int = 0
    plan: Plan | None = None
    plan_id: str | None = None
    pending: str | None = None

    @property
    def is_of_plan(self) -> bool:
        """Rather than of a form."""
        return self.plan is not None or self.plan_id is not None or self.pending is not None

    @classmethod
    def of(cls, run: InvokeRun) -> Talk:
        """What a reply goes on with; something new where it is none, or its hint isn't ours."""
        if run.continues is None:
            return cls(task_id(run.run_id), {})
        try:
            note = msgspec.json.decode(run.hint or "", type=_Note)
        except (msgspec.MsgspecError, ValueError):
            return cls(task_id(run.continues), {})
        plan = restored(bytes(note.plan).decode()) if note.plan != b"null" else None
        return cls(note.task_id, note.known, note.misses, plan, note.plan_id, note.pending)

    def noted(self) -> str:
        """The hint, without what is known where that is too much for one, and at last without the plan."""
        plan = msgspec.Raw(kept(self.plan).encode() if self.plan is not None else b"null")
        raw = _Note(self.task_id, dict(self.known), self.misses, plan, self.plan_id, self.pending)
        note = msgspec.json.encode(raw).decode()
        if len(note) <= MAX_HINT_LENGTH:
            return note
        return replace(self, known={}, plan=self.plan if self.known else None).noted()


def task_id(run_id: str) -> str:
    """The same for the same run, within an id's length whatever the run is called."""
    return f"plan-{hashlib.sha256(run_id.encode()).hexdigest()[:24]}"
