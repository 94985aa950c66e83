"""Searches a target for an input that costs too much, or raises what nobody promised."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import hypothesis
from hypothesis import HealthCheck, Phase, settings

from tests.fuzz.cost import spent
from tests.fuzz.recipes import Recipe, made, recipes
from tests.fuzz.targets import Target

_BATCH = 400


@dataclass
class Found:
    """What a search came to. `dearest`: of the time that an input was allowed, the largest part that one took."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    dearest: float = 0.0
    dearest_recipe: Recipe = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def search(
    name: str,
    target: Target,
    *,
    seconds: float,
    seed: int,
    say: Callable[[str], None],
    most: int = 5,
    shrink: bool = True,
) -> Found:
    """Batches of Hypothesis's, each with a seed of its own, for so long or until `most` findings.

    It steers towards what costs more. `shrink`: findings are made as small as they can be, which takes a while.
    """
    found = Found(name)
    began = time.monotonic()
    while time.monotonic() - began < seconds and len(found.findings) < most:
        try:
            hypothesis.seed(seed)(_batch(target, found, shrink))()
        except Exception as error:  # any exception of a target is what is looked for
            # Without a trace, whose paths are a machine's.
            notes = " ".join(getattr(error, "__notes__", ())).partition("Traceback")[0]
            found.findings.append(f"{type(error).__name__}: {str(error)[:300]} {notes[:2000]}")
            say(f"{name}: {found.findings[-1]}")
        seed += 1
    found.seconds = time.monotonic() - began
    return found


def _batch(target: Target, found: Found, shrink: bool) -> Callable[[], None]:
    @settings(
        max_examples=_BATCH,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.target, *((Phase.shrink,) if shrink else ())),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(recipes(target.seeds, target.tokens))
    def one(recipe: Recipe) -> None:
        raw = made(recipe, target.most_bytes)
        found.executions += 1
        part = spent(target.check, raw, target.bound) / target.bound.of(len(raw))
        if part > found.dearest:
            found.dearest, found.dearest_recipe = part, recipe
        hypothesis.target(part)

    return one
