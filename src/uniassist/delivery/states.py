"""The states of an outbox event and who may move it: the same that `store/queries/delivery.sql` enforces. Pure.

docs/delivery-states.md draws them; tests hold the statements to this table.
"""

from __future__ import annotations

from typing import Literal

State = Literal["pending", "processing", "failed", "delivered", "consumed", "dead_letter"]
Step = Literal["claim", "release", "deliver", "consume", "fail", "bury", "settle", "replay"]

STATES: tuple[State, ...] = ("pending", "processing", "failed", "delivered", "consumed", "dead_letter")

# step → (states that it may start from, the state that it leads to)
STEPS: dict[Step, tuple[frozenset[State], State]] = {
    "claim": (frozenset({"pending", "failed"}), "processing"),
    "release": (frozenset({"processing"}), "pending"),
    "deliver": (frozenset({"processing"}), "delivered"),
    "consume": (frozenset({"pending", "processing", "failed", "delivered"}), "consumed"),
    "fail": (frozenset({"processing"}), "failed"),
    "bury": (frozenset({"processing"}), "dead_letter"),
    "settle": (frozenset({"processing", "delivered"}), "pending"),
    "replay": (frozenset({"dead_letter"}), "failed"),
}

# Nothing leaves it.
FINAL: frozenset[State] = frozenset({"consumed"})


def after(state: State, step: Step) -> State:
    """The state that `step` leads to; `state` itself where the step doesn't apply."""
    sources, target = STEPS[step]
    return target if state in sources else state


def is_spent(attempts: int, max_attempts: int) -> bool:
    """Whether the attempt that just failed, counted in `attempts`, was the last one."""
    return attempts >= max_attempts
