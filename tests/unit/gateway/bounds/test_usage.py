"""What is used in a window, over several gateways: told in steps, exceeded by a step each, new with each window."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from uniassist.errors import Away
from uniassist.gateway.bounds import usage
from uniassist.gateway.bounds.usage import Usage

NOON = 1_772_366_400.0


class Shared:
    """What all gateways have told, and how often one did."""

    def __init__(self) -> None:
        self.amounts: Counter[tuple[str, dt.datetime]] = Counter()
        self.asked = 0
        self.away = False

    async def tell(self, who: str, window: dt.datetime, amount: int) -> int:
        self.asked += 1
        if self.away:
            raise Away("postgres")
        self.amounts[who, window] += amount
        return self.amounts[who, window]


async def test_so_much_is_used_and_no_more_until_the_window_ends() -> None:
    count = Usage(10, 3600, Shared().tell)
    assert [await count.add("anna", 1, NOON + 60) for _ in range(10)] == [0] * 10
    assert count.wait_seconds("anna", NOON + 60) == 3540
    assert await count.add("anna", 1, NOON + 60) == 3540
    assert await count.add("bert", 10, NOON + 60) == 0
    assert count.wait_seconds("anna", NOON + 3600) == 0
    assert await count.add("anna", 10, NOON + 3600) == 0


async def test_gateways_share_a_limit_to_a_step_each() -> None:
    shared = Shared()
    gateways = [Usage(640, 86_400, shared.tell) for _ in range(3)]
    used = 0
    while all([not gateway.wait_seconds("anna", NOON) for gateway in gateways]):  # noqa: C419 - each is asked
        for gateway in gateways:
            used += not await gateway.add("anna", 1, NOON)
    for gateway in gateways:
        while not gateway.wait_seconds("anna", NOON):
            used += not await gateway.add("anna", 1, NOON)
    assert 640 <= used <= 640 + 3 * 640 // usage.STEPS
    assert shared.asked <= 3 * (usage.STEPS + 1), "a statement for each step, not for each input"


async def test_who_uses_little_costs_no_statement() -> None:
    shared = Shared()
    count = Usage(1000, 3600, shared.tell)
    for number in range(1000):
        await count.add(f"user-{number % 100}", 1, NOON)
    assert shared.asked == 0


async def test_while_it_cannot_be_told_the_bound_is_this_gateways() -> None:
    shared = Shared()
    shared.away = True
    count = Usage(5, 3600, shared.tell)
    assert [bool(await count.add("anna", 1, NOON)) for _ in range(7)] == [False] * 5 + [True] * 2


async def test_zero_is_no_limit_and_the_memory_is_bounded() -> None:
    shared = Shared()
    assert [await Usage(0, 60, shared.tell).add("anna", 10**12, NOON) for _ in range(3)] == [0] * 3
    count = Usage(1000, 3600, shared.tell)
    for number in range(usage.MAX_KEYS + 10):
        await count.add(f"user-{number}", 1, NOON)
    assert len(count._counts) == usage.MAX_KEYS
