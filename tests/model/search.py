"""Every state that can be reached, breadth first, so that a trace to what must not be is as short as it can be."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from tests.model.engine import Mends, Model, Violation, check
from tests.model.world import Faults, Label, World, beginning, normal, said


@dataclass(frozen=True)
class Found:
    """`wrong` None: every state holds. Else why one doesn't, and the steps that lead there."""

    states: int
    transitions: int
    wrong: str | None
    trace: list[str]

    def __str__(self) -> str:
        steps = "".join(f"\n  {step}" for step in self.trace)
        return f"{self.states} states, {self.transitions} transitions; {self.wrong or 'all hold'}{steps}"


def explore(mends: Mends, faults: Faults) -> Found:
    """All states that at most so many faults lead to. Ends: each step is one of a finite number of states."""
    was_on = gc.isenabled()
    gc.disable()  # states hold no cycles, and to look for some again and again takes a fifth of the time
    try:
        return _explored(mends, faults)
    finally:
        if was_on:
            gc.enable()


def _explored(mends: Mends, faults: Faults) -> Found:
    model, first = Model(mends), normal(beginning(faults))
    reached: dict[World, tuple[World, Label] | None] = {first: None}
    frontier, transitions = [first], 0
    while frontier:
        after: list[World] = []
        for world in frontier:
            is_stuck = bool(world.postgres.unconsumed())
            step: Label = ("?",)
            try:
                for source, can_go_on in ((model.steps(world), True), (model.faults(world), False)):
                    for step, raw in source:
                        transitions += 1
                        found = normal(raw)
                        is_stuck = is_stuck and not (can_go_on and found != world)
                        if found not in reached:
                            reached[found] = (world, step)
                            check(found)
                            after.append(found)
            except Violation as violation:
                return Found(len(reached), transitions, str(violation), [*_trace(reached, world), said(step)])
            if is_stuck:
                trace = _trace(reached, world)
                return Found(len(reached), transitions, "not all are consumed, and nothing goes on", trace)
        frontier = after
    return Found(len(reached), transitions, None, [])


def _trace(reached: dict[World, tuple[World, Label] | None], world: World) -> list[str]:
    steps: list[str] = []
    while (before := reached[world]) is not None:
        world, step = before
        steps.append(said(step))
    return steps[::-1]
