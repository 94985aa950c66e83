"""Followers are woken a few in each round of the loop, all of them, each once, in order."""

from __future__ import annotations

import asyncio

import pytest

from uniassist.gateway.live.waking import AT_ONCE, Waking


@pytest.mark.parametrize("count", [1, AT_ONCE, AT_ONCE + 1, 10 * AT_ONCE + 3])
async def test_all_are_woken_and_few_in_a_round(count: int) -> None:
    waking, events = Waking(), [asyncio.Event() for _ in range(count)]
    for event in (*events, *events):
        waking.wake(event)
    rounds: list[int] = []
    while sum(rounds) < count:
        rounds.append(sum(event.is_set() for event in events) - sum(rounds))
        assert all(event.is_set() for event in events[: sum(rounds)]), "in order"
        await asyncio.sleep(0)
        assert len(rounds) <= count, "nobody is left"
    assert max(rounds) <= AT_ONCE


async def test_one_that_is_woken_again_while_others_wait_comes_behind_them() -> None:
    waking, events = Waking(), [asyncio.Event() for _ in range(2 * AT_ONCE)]
    for event in events:
        waking.wake(event)
    events[0].clear()
    waking.wake(events[0])
    await asyncio.sleep(0)
    assert all(event.is_set() for event in events[1:])
    assert not events[0].is_set()
    await asyncio.sleep(0)
    assert events[0].is_set()


async def test_a_new_round_has_room_again() -> None:
    waking = Waking()
    for _ in range(3):
        events = [asyncio.Event() for _ in range(AT_ONCE)]
        for event in events:
            waking.wake(event)
        assert all(event.is_set() for event in events)
        await asyncio.sleep(0)
