"""Two gateways' boards over a real Redis: what one writes is on the other, whole, however late it listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from redis import Redis as Plain
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.gateway.live import exchange
from uniassist.gateway.live.board import Board, Shown
from uniassist.gateway.live.exchange import Exchange
from uniassist.streams.client import connect

KEY = ("run-1", "m1")


@dataclass
class Gateway:
    board: Board
    stopped: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    exchange: Exchange | None = None

    def text(self, key: tuple[str, str] = KEY) -> str | None:
        writing = self.board._at("s", key)
        return writing.since(0) if writing is not None else None

    def is_told(self) -> bool:
        return self.exchange is not None and not self.exchange._written

    def write(self, text: str, key: tuple[str, str] = KEY, attempt: int = 1) -> None:
        writing = self.board._at("s", key)
        if writing is None or writing.attempt != attempt or not writing.is_own:
            writing = self.board.begin("s", key, "alice", attempt)
        assert writing is not None
        self.board.add(writing, text)


@asynccontextmanager
async def gateway(redis_url: str, owner: str) -> AsyncIterator[Gateway]:
    redis = connect(redis_url)
    built = Gateway(Board())
    built.exchange = Exchange(
        redis,
        prefix="x:",
        owner=owner,
        board=built.board,
        is_followed=lambda _: True,
        is_heard=lambda _: True,
        on_stopped=built.stopped.extend,
        on_pushed=built.pushed.extend,
    )
    built.exchange.start()
    try:
        yield built
    finally:
        await built.exchange.stop()
        await redis.aclose()


def listening(redis_url: str, count: int) -> Callable[[], bool]:
    def is_so() -> bool:
        with Plain.from_url(redis_url) as redis:
            [(_, found)] = redis.pubsub_numsub("x:live")
            return bool(found == count)

    return is_so


async def test_what_one_writes_the_other_shows_and_forgets(redis_url: str) -> None:
    async with gateway(redis_url, "a") as a, gateway(redis_url, "b") as b:
        await eventually(listening(redis_url, 2), "both listen")
        for piece in ("one ", "two ", "three"):
            a.write(piece)
            await eventually(lambda: b.text() == a.text(), "it crossed")
        assert b.board.news("s", "mallory", Shown()) == b""
        assert b"three" in b.board.news("s", "alice", Shown())
        assert a.text() == "one two three", "its own is not taken again"
        a.board.end("s", KEY, 1)
        await eventually(lambda: b.text() is None, "its end crossed")
        a.exchange.stopped(["run-9"]) if a.exchange else None
        await eventually(lambda: b.stopped == ["run-9"], "a cancellation crossed")
        assert a.stopped == []


async def test_who_listens_late_gets_the_text_so_far(redis_url: str) -> None:
    async with gateway(redis_url, "a") as a:
        await eventually(listening(redis_url, 1), "it listens")
        a.write("said before, ")
        a.write("as well", ("run-2", "m"))
        await eventually(lambda: a.is_told(), "it was told to nobody")
        async with gateway(redis_url, "b") as b:
            await eventually(lambda: b.text() == "said before, ", "it was told")
            a.write("and after")
            await eventually(lambda: b.text() == "said before, and after", "and goes on")
            assert b.text(("run-2", "m")) == "as well"


async def test_a_lost_piece_is_asked_for(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ASK_SECONDS", 0.0)
    async with gateway(redis_url, "a") as a, gateway(redis_url, "b") as b:
        await eventually(listening(redis_url, 2), "both listen")
        a.write("one ")
        await eventually(lambda: b.text() == "one ", "it crossed")
        b.board.end("s", KEY, 0)  # forgets it, as if it hadn't come
        a.write("two")
        await eventually(lambda: b.text() == "one two", "it has it all")


async def test_a_later_attempt_elsewhere_takes_over(redis_url: str) -> None:
    async with gateway(redis_url, "a") as a, gateway(redis_url, "b") as b:
        await eventually(listening(redis_url, 2), "both listen")
        a.write("first try")
        await eventually(lambda: b.text() == "first try", "it crossed")
        b.write("second", attempt=2)
        await eventually(lambda: a.text() == "second", "it was begun anew")
        a.board.end("s", KEY, 1)  # the first one ends when it notices: that ends nothing of the second
        b.write(" try", attempt=2)
        await eventually(lambda: a.text() == "second try", "and goes on")


async def test_a_push_that_comes_while_one_is_told_is_told_too(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who heard of the first may have looked before the second was true."""
    monkeypatch.setattr(exchange, "DEADLINE_SECONDS", 60.0)
    async with gateway(own_redis.url, "a") as a, gateway(own_redis.url, "b") as b:
        await eventually(listening(own_redis.url, 2), "both listen")
        telling = a.exchange
        assert telling is not None
        own_redis.process.pause()
        try:
            telling.pushed(["run-1"])
            await asyncio.sleep(20 * exchange.PACE_SECONDS)  # it is on its way
            telling.pushed(["run-1"])
        finally:
            own_redis.process.resume()
        await eventually(lambda: b.pushed == ["run-1", "run-1"], "both crossed", 30)


async def test_while_redis_is_away_nothing_is_lost_or_queued(own_redis: EmbeddedRedis) -> None:
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(gateway(own_redis.url, "a"))
        b = await stack.enter_async_context(gateway(own_redis.url, "b"))
        await eventually(listening(own_redis.url, 2), "both listen")
        a.write("before ")
        await eventually(lambda: b.text() == "before ", "it crossed")
        own_redis.stop()
        a.write("meanwhile ")
        own_redis.start()
        await eventually(lambda: b.text() == "before meanwhile ", "it came afterwards")
