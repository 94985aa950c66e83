"""Calls that share a transaction: one of a person at a time, nobody waits for a bad or a held neighbour."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence

import pytest

from uniassist.errors import Away, Locked
from uniassist.provider_plan import together
from uniassist.provider_plan.together import MOST_TOGETHER, Together, Waiting


class Postgres:
    """Carries out once it is `open`; `held`: whose lock somebody else has; `bad`: who makes a transaction fail;
    `hung`: with whom none ends."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.seen: list[tuple[tuple[str, ...], bool]] = []
        self.under_way: list[str] = []
        self.held: set[str] = set()
        self.hung: set[str] = set()
        self.freed = asyncio.Event()
        self.bad: dict[str, Exception] = {}
        self.together: Together[Waiting] = Together(self.carry_out)

    async def carry_out(self, calls: Sequence[Waiting], waits: bool) -> Sequence[Waiting]:
        users = [each.user_id for each in calls]
        self.seen.append((tuple(users), waits))
        assert not set(users) & set(self.under_way), "two calls of a person at a time"
        self.under_way += users
        try:
            await self.open.wait()
            if set(users) & (self.held | self.hung if waits else self.hung):
                await self.freed.wait()
            for user in users:
                if user in self.bad:
                    raise self.bad[user]
        finally:
            for user in users:
                self.under_way.remove(user)
        left = [] if waits else [each for each in calls if each.user_id in self.held]
        for each in calls:
            if each not in left:
                each.answer.set_result(f"to {each.user_id}")
        return left

    def ask(self, user: str) -> asyncio.Task[str]:
        waiting = Waiting(user, asyncio.get_running_loop().create_future())
        return asyncio.create_task(self.together.submit(waiting))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_that_come_meanwhile_share_the_next_one() -> None:
    postgres = Postgres()
    asked = [postgres.ask("a")]
    await settle()
    asked += [postgres.ask(user) for user in ("b", "c", "a", "c")]
    await settle()
    assert postgres.seen == [(("a",), False)], "an idle one begins at once"
    postgres.open.set()
    assert await asyncio.gather(*asked) == ["to a", "to b", "to c", "to a", "to c"]
    assert postgres.seen[1:] == [(("b", "c", "a"), False), (("c",), False)]


async def test_no_transaction_grows_beyond_its_bound() -> None:
    postgres = Postgres()
    postgres.open.set()
    await asyncio.gather(*(postgres.ask(f"u{number}") for number in range(2 * MOST_TOGETHER + 1)))
    assert [len(users) for users, _ in postgres.seen] == [MOST_TOGETHER, MOST_TOGETHER, 1]


async def test_who_is_busy_elsewhere_delays_nobody_and_keeps_their_order() -> None:
    postgres = Postgres()
    postgres.open.set()
    postgres.held = {"held"}
    first, other, second = postgres.ask("held"), postgres.ask("free"), postgres.ask("held")
    assert await other == "to free"
    assert await postgres.ask("free") == "to free"
    assert not first.done()
    assert not second.done()
    assert [users for users, waits in postgres.seen if waits] == [("held",)]
    postgres.held = set()
    postgres.freed.set()
    assert list(await asyncio.gather(first, second)) == ["to held", "to held"]


@pytest.mark.parametrize("error", [ValueError("a bug"), Locked("postgres", "a row")])
async def test_a_bad_one_fails_alone(error: Exception) -> None:
    postgres = Postgres()
    postgres.open.set()
    postgres.bad = {"bad": error}
    good, bad, other = postgres.ask("good"), postgres.ask("bad"), postgres.ask("other")
    assert list(await asyncio.gather(good, other)) == ["to good", "to other"]
    with pytest.raises(type(error)):
        await bad
    del postgres.bad["bad"]
    assert await postgres.ask("bad") == "to bad"


async def test_an_outage_is_everybodys_and_is_not_tried_again() -> None:
    postgres = Postgres()
    postgres.open.set()
    postgres.bad = {"a": Away("postgres", "gone")}
    outcomes = await asyncio.gather(postgres.ask("a"), postgres.ask("b"), return_exceptions=True)
    assert [type(each) for each in outcomes] == [Away, Away]
    assert postgres.seen == [(("a", "b"), False)]
    assert await postgres.ask("b") == "to b"


async def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "SECONDS", 0.01)
    postgres = Postgres()
    with pytest.raises(Away):
        await postgres.ask("a")
    postgres.open.set()
    assert await postgres.ask("a") == "to a"


async def test_who_gave_up_waiting_wants_nothing_written() -> None:
    postgres = Postgres()
    first = postgres.ask("a")
    await settle()
    gone, other = postgres.ask("gone"), postgres.ask("other")
    await settle()
    gone.cancel()
    await settle()
    postgres.open.set()
    assert list(await asyncio.gather(first, other)) == ["to a", "to other"]
    assert postgres.seen[1:] == [(("other",), False)]


async def test_one_that_hangs_is_waited_for_by_its_own_persons_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "SECONDS", 60)
    monkeypatch.setattr(together, "GATHER_SECONDS", 0.01)
    postgres = Postgres()
    postgres.open.set()
    postgres.hung = {"hung"}
    first = postgres.ask("hung")
    await settle()
    second, other = postgres.ask("hung"), postgres.ask("other")
    assert await asyncio.wait_for(other, 30) == "to other"
    assert await postgres.ask("other") == "to other"
    assert not first.done()
    assert not second.done()
    postgres.freed.set()
    assert list(await asyncio.wait_for(asyncio.gather(first, second), 30)) == ["to hung", "to hung"]
    assert [users for users, _ in postgres.seen].count(("hung",)) == 2


async def test_what_a_failed_call_held_is_free_at_once() -> None:
    postgres = Postgres()
    postgres.open.set()
    postgres.bad = {"bad": Away("postgres", "gone")}

    async def failed() -> weakref.ref[Waiting]:
        call = Waiting("bad", asyncio.get_running_loop().create_future())
        seen, is_failed = weakref.ref(call), False
        submitting = postgres.together.submit(call)
        del call
        try:
            await submitting
        except Away:
            is_failed = True
        assert is_failed
        return seen

    gc.disable()
    try:
        left = await failed()
        postgres.bad = {}
        assert await postgres.ask("good") == "to good"
        assert left() is None
    finally:
        gc.enable()
