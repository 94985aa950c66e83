"""The states of an outbox event and who may move it: the same that `store/queries/delivery.sql` enforces. Pure.

docs/delivery-states.md draws them. Tests hold the statements to this table, and the model in tests/model, which
tries every order of events, moves its rows by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["pending", "processing", "failed", "delivered", "consumed", "dead_letter"]
Step = Literal[
    "claim",
    "release",
    "deliver",
    "consume",
    "fail",
    "bury",
    "settle",
    "rescue",
    "overdue",
    "replay",
    "unconfirm",
    "bury unconfirmed",
    "fail to settle",
    "bury unsettled",
    "fail to rescue",
    "bury unrescued",
    "fail to claim",
    "bury unclaimed",
]
# What a step asks of a row besides its state, seen from the worker, or the epoch, that the step is made for.
Guard = Literal["held", "stray", "same epoch", "other epoch"]

STATES: tuple[State, ...] = ("pending", "processing", "failed", "delivered", "consumed", "dead_letter")


class Row(Protocol):
    """`holder`: whose lease it is under; `epoch`: the one that it was last claimed for."""

    @property
    def state(self) -> State: ...
    @property
    def holder(self) -> object: ...
    @property
    def epoch(self) -> object: ...


@dataclass(frozen=True)
class Transition:
    """From any of `sources`, where all their guards are true, to `target`.

    `durable`: committed synchronously, with all that it saw, whether or not it moves a row. What others may publish
    after it must not come undone in a crash.
    """

    sources: Mapping[State, frozenset[Guard]]
    target: State
    durable: bool = False


def _when(*guards: Guard) -> frozenset[Guard]:
    return frozenset(guards)


_ALWAYS = _when()
_SETTLED: Mapping[State, frozenset[Guard]] = {"processing": _when("held"), "delivered": _when("other epoch")}
_RESCUED: Mapping[State, frozenset[Guard]] = {"processing": _when("stray"), "delivered": _when("other epoch")}
_CLAIMED: Mapping[State, frozenset[Guard]] = {"pending": _ALWAYS, "failed": _ALWAYS}
STEPS: Mapping[Step, Transition] = {
    "claim": Transition(_CLAIMED, "processing"),
    "release": Transition({"processing": _when("held")}, "pending"),
    "deliver": Transition({"processing": _when("held", "same epoch")}, "delivered"),
    # Nothing published in an epoch that ended confirms a row: settling took it out of that epoch.
    "consume": Transition(
        {"processing": _when("same epoch"), "delivered": _when("same epoch")},
        "consumed",
    ),
    "fail": Transition({"processing": _when("held")}, "failed", durable=True),
    "bury": Transition({"processing": _when("held")}, "dead_letter", durable=True),
    # Published, and Postgres refuses to write it down.
    "unconfirm": Transition(
        {"processing": _when("same epoch"), "delivered": _when("same epoch")}, "failed", durable=True
    ),
    "bury unconfirmed": Transition(
        {"processing": _when("same epoch"), "delivered": _when("same epoch")}, "dead_letter", durable=True
    ),
    "settle": Transition(_SETTLED, "pending", durable=True),
    "rescue": Transition(_RESCUED, "pending", durable=True),
    "overdue": Transition({"delivered": _ALWAYS}, "pending", durable=True),
    # It refuses the step before, alone.
    "fail to settle": Transition(_SETTLED, "failed", durable=True),
    "bury unsettled": Transition(_SETTLED, "dead_letter", durable=True),
    "fail to rescue": Transition(_RESCUED, "failed", durable=True),
    "bury unrescued": Transition(_RESCUED, "dead_letter", durable=True),
    "fail to claim": Transition(_CLAIMED, "failed", durable=True),
    "bury unclaimed": Transition(_CLAIMED, "dead_letter", durable=True),
    "replay": Transition({"dead_letter": _ALWAYS}, "failed"),
}

# Nothing leaves it.
FINAL: frozenset[State] = frozenset({"consumed"})


def applies(
    transition: Transition,
    row: Row,
    *,
    worker: object = None,
    epoch: object = None,
    forgotten: bool = False,
) -> bool:
    """Whether a step made for `worker` and `epoch` moves the row, which its holder may have `forgotten`."""
    guards = transition.sources.get(row.state)
    if guards is None:
        return False
    truths: dict[Guard, bool] = {
        "held": row.holder == worker,
        "stray": row.holder != worker or forgotten,
        "same epoch": row.epoch == epoch,
        "other epoch": row.epoch != epoch,
    }
    return all(truths[guard] for guard in guards)


def is_spent(attempts: int, max_attempts: int) -> bool:
    """Whether the attempt that just failed, counted in `attempts`, was the last one."""
    return attempts >= max_attempts
