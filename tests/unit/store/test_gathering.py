"""Calls that share a round trip: who shares it, in which order, and what becomes of the others when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.waiting import eventually

from uniassist.errors import Away, Locked, NotStorable
from uniassist.store.server import gathering
from uniassist.store.server.gathering import MOST_TOGETHER, Gathering


class Server:
    """Answers a call ("a", 1) with "a1" once it is let go. `bad`: keys that fail a transaction they are in.

    held: keys of rows that somebody holds. most: round trips under way at once that began after it was let go.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.most = 0
        self._under_way = 0
        self.bad: dict[str, Exception] = {}
        self.held: set[str] = set()
        self.go = asyncio.Event()

    async def alone(self, arguments: tuple[Any, ...]) -> str | None:
        return (await self._carry_out([arguments])).get(arguments[0])

    async def together(self, calls: Sequence[tuple[Any, ...]]) -> dict[str, str]:
        try:
            async with asyncio.timeout(gathering.TOGETHER_SECONDS if self.go.is_set() else None):
                return await self._carry_out(calls)
        except TimeoutError:
            raise Locked("postgres") from None

    async def _carry_out(self, calls: Sequence[tuple[Any, ...]]) -> dict[str, str]:
        keys = [key for key, _ in calls]
        self.asked.append(keys)
        if self.go.is_set():
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            await asyncio.sleep(0.001)
            self._under_way -= 1
        await self.go.wait()
        if self.held & set(keys):
            await asyncio.Event().wait()
        for key in keys:
            if key in self.bad:
                raise self.bad[key]
        return {key: f"{key}{value}" for key, value in calls if value is not None}


async def ask_all(server: Server, *calls: tuple[str, int | None]) -> list[Any]:
    gathered = Gathering(server.alone, server.together)
    tasks = [asyncio.create_task(gathered.ask(key, (key, value))) for key, value in calls]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    server.go.set()
    async with asyncio.timeout(10):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_is_asked_at_once_and_those_that_wait_share_the_next_in_the_order_of_their_keys() -> None:
    server = Server()

    assert await ask_all(server, ("x", 1), ("c", 2), ("a", 3), ("b", None)) == ["x1", "c2", "a3", None]
    assert server.asked == [["x"], ["a", "b", "c"]]


async def test_calls_of_one_key_follow_one_another() -> None:
    server = Server()

    assert await ask_all(server, ("x", 1), ("a", 2), ("a", 3), ("x", 4)) == ["x1", "a2", "a3", "x4"]
    assert server.asked == [["x"], ["a", "x"], ["a"]]


async def test_one_that_cannot_be_carried_out_fails_by_itself() -> None:
    server = Server()
    error = server.bad["a"] = NotStorable("postgres", "a")

    assert await ask_all(server, ("x", 1), ("a", 2), ("b", 3)) == ["x1", error, "b3"]
    assert server.asked == [["x"], ["a", "b"], ["a"], ["b"]]


async def test_while_the_server_is_away_nothing_is_asked_anew() -> None:
    server = Server()
    error = server.bad["a"] = Away("postgres", "gone")

    assert await ask_all(server, ("x", 1), ("a", 2), ("b", 3)) == ["x1", error, error]
    assert server.asked == [["x"], ["a", "b"]]


async def test_one_that_is_held_up_holds_the_others_up_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "TOGETHER_SECONDS", 0.05)
    server = Server()
    server.held = {"a"}
    gathered = Gathering(server.alone, server.together)
    server.go.set()
    first = asyncio.create_task(gathered.ask("x", ("x", 1)))
    held = asyncio.create_task(gathered.ask("a", ("a", 2)))
    beside = asyncio.create_task(gathered.ask("b", ("b", 3)))
    async with asyncio.timeout(10):
        assert await first == "x1"
        assert await beside == "b3"
        assert await gathered.ask("c", ("c", 4)) == "c4"
    assert not held.done()
    held.cancel()


async def test_who_gives_up_before_being_asked_is_not_asked() -> None:
    server = Server()
    gathered = Gathering(server.alone, server.together)
    first = asyncio.create_task(gathered.ask("x", ("x", 1)))
    gone = asyncio.create_task(gathered.ask("a", ("a", 2)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    server.go.set()
    async with asyncio.timeout(10):
        assert await first == "x1"
        assert await gathered.ask("b", ("b", 3)) == "b3"
    assert server.asked == [["x"], ["b"]]


async def test_who_gives_up_while_being_asked_alone_is_asked_no_more() -> None:
    server = Server()
    gathered = Gathering(server.alone, server.together)
    server.held = {"a"}
    server.go.set()
    gone = asyncio.create_task(gathered.ask("a", ("a", 1)))
    await eventually(lambda: server.asked == [["a"]], "it is asked")
    gone.cancel()
    await asyncio.wait([gone])
    server.held = set()
    async with asyncio.timeout(10):
        assert await gathered.ask("a", ("a", 2)) == "a2"


async def test_after_a_server_that_hung_there_is_one_round_trip_at_a_time_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "TOGETHER_SECONDS", 0.05)
    server = Server()
    gathered = Gathering(server.alone, server.together)
    calls = [asyncio.create_task(gathered.ask(str(key), (str(key), key))) for key in range(40 * MOST_TOGETHER)]
    await eventually(lambda: len(server.asked) == 4, "others were let, and hang as well")
    monkeypatch.setattr(gathering, "TOGETHER_SECONDS", 60.0)
    server.go.set()
    async with asyncio.timeout(30):
        await asyncio.gather(*calls)
    assert server.most == 1
