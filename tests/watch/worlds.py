"""Windows of fifteen minutes: healthy ones with what healthy systems do, and ones with a fault."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.watch.simulated import NEEDS, ROLLOUT_ORDER, WINDOW_SECONDS, Span, World


def healthy(seed: int) -> World:
    """Nothing in it is a reason to roll back: restarts, hangs, flapping, an outage, blindness, a drill, a slip."""
    chance = random.Random(seed)
    down: dict[str, list[Span]] = {}
    for service in ROLLOUT_ORDER:
        spans = [Span(chance.uniform(0, WINDOW_SECONDS), 5.0) for _ in range(chance.randrange(4))]
        if chance.random() < 0.3:
            spans.append(Span(chance.uniform(0, 600), chance.uniform(20, 165)))
        if chance.random() < 0.2:
            start = chance.uniform(0, 600)
            spans += [Span(start + 20 * turn, 10) for turn in range(12)]
        down[service] = _apart(spans)
    away = {}
    if chance.random() < 0.4:
        away[chance.choice(("postgres", "redis"))] = [Span(chance.uniform(50, 400), chance.uniform(30, 400))]
    return World(
        seed=seed,
        down=down,
        away=away,
        blind=[Span(chance.uniform(0, 800), chance.uniform(10, 60))] if chance.random() < 0.2 else [],
        failing_rounds={chance.randrange(4)} if chance.random() < 0.3 else set(),
        dead_letters=_drill_and_noise(chance),
    )


def faulty(seed: int) -> tuple[World, str, str]:
    """A healthy window with one fault more, the kind of trigger that it must fire, and of what."""
    chance = random.Random(seed)
    world = World(seed)
    kind = chance.choice(("health", "health", "health", "checks", "rate"))
    if kind == "health":
        service = chance.choice(ROLLOUT_ORDER)
        world.down = {service: [Span(chance.uniform(0, 850), 10_000)]}
        other = chance.choice([name for name in NEEDS if name != service])
        world.down[other] = [Span(chance.uniform(0, 800), chance.uniform(5, 150))]
        return world, kind, service
    if kind == "checks":
        first = chance.randrange(2)
        world.failing_rounds = {first, first + 1}
        return world, kind, "checks"
    start, each = chance.uniform(0, 500), chance.uniform(5, 30)
    world.dead_letters = lambda at: 3 + max(0, int((at - start) / each))
    return world, kind, "dead_letter"


def _drill_and_noise(chance: random.Random) -> Callable[[float], int]:
    """At most four real dead letters, and a drill's one that comes and goes."""
    real = sorted(chance.uniform(0, WINDOW_SECONDS) for _ in range(chance.randrange(5)))
    drills = [Span(chance.uniform(0, 800), chance.uniform(5, 90)) for _ in range(chance.randrange(3))]
    return lambda at: 7 + sum(when <= at for when in real) + any(span.holds(at) for span in drills)


def _apart(spans: list[Span]) -> list[Span]:
    """Those that don't touch an earlier one: joined, they could last for three minutes."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if not kept or span.start >= kept[-1].start + kept[-1].seconds + 12:
            kept.append(span)
    return kept
