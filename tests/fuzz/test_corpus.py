"""What was found, and what nearly was, stays read or refused in the words promised, at a cost by its length."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.fuzz.cost import Bound, TooDear, spent
from tests.fuzz.recipes import Recipe, kept, made
from tests.fuzz.search import search
from tests.fuzz.targets import TARGETS, Target

KEPT = [(name, recipe) for name in TARGETS for recipe in kept(name)]


@pytest.mark.parametrize(
    ("name", "recipe"), KEPT, ids=[f"{name}-{number}" for number, (name, _) in enumerate(KEPT)]
)
def test_an_input_of_the_corpus(name: str, recipe: Recipe) -> None:
    target = TARGETS[name]
    spent(target.check, made(recipe, target.most_bytes), target.bound)


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_are_among_the_seeds_and_cost_little(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        spent(target.check, seed, target.bound)


def quadratic(raw: bytes) -> None:
    for _ in range(len(raw) ** 2 // 500):
        pass


def surprising(raw: bytes) -> None:
    if b"[[[" in raw:
        raise KeyError("nobody promised this")


@pytest.mark.parametrize(("check", "said"), [(quadratic, "bytes took"), (surprising, "KeyError")])
def test_the_search_finds_what_costs_too_much_and_what_nobody_promised(check: object, said: str) -> None:
    assert callable(check)
    target = Target(check, (b"[]",), (b"[", b"]"), Bound(0.01, 1e-7), 50_000)
    found = search("seeded", target, seconds=20, seed=1, say=lambda _: None, most=1, shrink=False)
    assert said in found.findings[0]


def test_a_bound_is_of_the_least_of_some_tries() -> None:
    def spending(*seconds: float) -> Callable[[bytes], None]:
        of_each = iter(seconds)

        def check(_: bytes) -> None:
            until = time.thread_time() + next(of_each)
            while time.thread_time() < until:
                pass

        return check

    assert spent(spending(0.05, 0.0, 0.05), b"x", Bound(0.02, 0)) < 0.02
    with pytest.raises(TooDear):
        spent(spending(*[0.05] * 100), b"x", Bound(0.02, 0))
