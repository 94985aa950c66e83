"""What is being talked about. It travels as the hint of what we expect, since nothing is stored here."""

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


@dataclass(frozen=True)
class Talk:
    """`known`: what was said of the form's fields so far. `misses`: replies in a row in which nothing was read.
    `plan`: the one that was made of it."""

    task_id: str
    known: Mapping[str, str]
    misses: int = 0
    plan: Plan | None = None

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
        return cls(note.task_id, note.known, note.misses, plan)

    def noted(self) -> str:
        """The hint, without what is known where that is too much for one, and at last without the plan."""
        plan = msgspec.Raw(kept(self.plan).encode() if self.plan is not None else b"null")
        note = msgspec.json.encode(_Note(self.task_id, dict(self.known), self.misses, plan)).decode()
        if len(note) <= MAX_HINT_LENGTH:
            return note
        return replace(self, known={}, plan=self.plan if self.known else None).noted()


def task_id(run_id: str) -> str:
    """The same for the same run, within an id's length whatever the run is called."""
    return f"plan-{hashlib.sha256(run_id.encode()).hexdigest()[:24]}"
