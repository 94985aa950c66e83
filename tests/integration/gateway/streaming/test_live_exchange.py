"""Two gateways' boards over a real Redis: what one writes is on the other, whole, however late it listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from redis import Redis as Plain
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.gateway.live import exchange
from uniassist.gateway.live.board import Board, Shown
from uniassist.gateway.live.exchange import Exchange
from uniassist.lifecycle import Loop
from uniassist.streams.channels import Channels
from uniassist.streams.client import Redis, connect
from uniassist.streams.wake import moved_prefix

KEY = ("run-1", "m1")


@dataclass
class Gateway:
    """A board, and who reads here: those of `s` from the beginning."""

    board: Board
    redis: Redis
    stopped: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    followed: set[str] = field(default_factory=set)
    heard: list[bytes] = field(default_factory=list)
    exchange: Exchange = field(init=False)
    channels: Channels = field(init=False)

    def text(self, key: tuple[str, str] = KEY, session_id: str = "s") -> str | None:
        writing = self.board._at(session_id, key)
        return writing.since(0) if writing is not None else None

    def is_told(self) -> bool:
        return not self.exchange._telling.has_news

    def write(self, text: str, key: tuple[str, str] = KEY, attempt: int = 1, session_id: str = "s") -> None:
        writing = self.board._at(session_id, key)
        if writing is None or writing.attempt != attempt or not writing.is_own:
            writing = self.board.begin(session_id, key, "alice", attempt)
        assert writing is not None
        self.board.add(writing, text)

    def follow(self, session_id: str) -> None:
        self.followed.add(session_id)
        self.channels.follow(session_id)

    def leave(self, session_id: str) -> None:
        self.followed.discard(session_id)
        self.channels.leave(session_id)
        self.exchange.leaves(session_id)

    def is_heard(self, session_id: str) -> bool:
        return self.channels.hears(session_id)

    def hear(self, session_id: str, said: bytes) -> None:
        self.heard.append(said)
        self.exchange.hear(session_id, said)

    def hears_from_now(self, sessions: Iterable[str]) -> None:
        for session_id in sessions:
            self.exchange.follows(session_id)

    async def listen_once(self) -> float:
        await self.channels.ask_once()
        await self.channels.listen_once()
        return 0.0


@asynccontextmanager
async def gateway(
    redis_url: str, owner: str, *, follows: str | None = "s", prefix: str = "x:"
) -> AsyncIterator[Gateway]:
    redis = connect(redis_url)
    built = Gateway(Board(), redis)
    built.exchange = Exchange(
        redis,
        prefix=prefix,
        owner=owner,
        board=built.board,
        is_followed=built.followed.__contains__,
        is_heard=built.is_heard,
        on_stopped=built.stopped.extend,
        on_pushed=built.pushed.extend,
    )
    built.channels = Channels(redis, moved_prefix(prefix), on_message=built.hear, on_followed=built.hears_from_now)
    if follows is not None:
        built.follow(follows)
    listening = Loop("listen", built.listen_once)
    built.exchange.start()
    listening.start()
    try:
        yield built
    finally:
        await asyncio.gather(built.exchange.stop(), listening.stop(0))
        await built.channels.close()
        await redis.aclose()


def listening(redis_url: str, count: int) -> Callable[[], bool]:
    def is_so() -> bool:
        with Plain.from_url(redis_url) as redis:
            [(_, found), (_, by_session)] = redis.pubsub_numsub("x:live", "x:live:by-session")
            return bool(found == by_session == count)

    return is_so


def readers(redis_url: str, count: int, session_id: str = "s") -> Callable[[], bool]:
    def is_so() -> bool:
        with Plain.from_url(redis_url) as redis:
            [(_, found)] = redis.pubsub_numsub(f"x:moved:{session_id}")
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
        a.exchange.stopped(["run-9"])
        await eventually(lambda: b.stopped == ["run-9"], "a cancellation crossed")
        assert a.stopped == []


async def test_who_listens_late_gets_the_text_so_far(redis_url: str) -> None:
    async with gateway(redis_url, "a", follows=None) as a:
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


async def test_only_who_follows_a_session_is_told_of_it(redis_url: str) -> None:
    async with (
        gateway(redis_url, "a", follows=None) as a,
        gateway(redis_url, "b") as b,
        gateway(redis_url, "c", follows="other") as c,
    ):
        await eventually(listening(redis_url, 3), "all listen")
        await eventually(lambda: not a.exchange._tells_all, "it knows that all take it by session")
        await eventually(readers(redis_url, 1), "one follows it")
        for number in range(20):
            a.write(f"{number} ")
            await eventually(lambda: b.text() == a.text(), "it crossed")
        a.write("something else", session_id="other")
        await eventually(lambda: c.text(session_id="other") == "something else", "it crossed")
        assert c.text() is None
        assert all(b'"other"' in each for each in c.heard)
        assert not a.heard, "who follows nothing hears nothing, of its own neither"


async def test_what_nobody_else_hears_is_told_now_and_then_until_somebody_asks(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "UNHEARD_SECONDS", 3600.0)
    async with gateway(redis_url, "a") as a:
        await eventually(listening(redis_url, 1), "it listens")
        await eventually(readers(redis_url, 1), "it has a reader itself")
        await eventually(lambda: not a.exchange._tells_all, "it knows that all take it by session")
        a.write("0 ")
        await eventually(a.is_told, "it was told to nobody")
        told = len(a.heard)
        for number in range(1, 20):
            a.write(f"{number} ")
            assert a.is_told(), "there is no hurry"
        async with gateway(redis_url, "b") as b:
            await eventually(lambda: b.text() == a.text(), "it asked")
            a.write("20 ")
            await eventually(lambda: b.text() == a.text(), "and is told on")
        assert told <= 2, "its own reader has it from the board"


async def test_who_left_and_comes_back_is_shown_nothing_that_is_over(redis_url: str) -> None:
    async with gateway(redis_url, "a", follows=None) as a, gateway(redis_url, "b") as b:
        await eventually(listening(redis_url, 2), "both listen")
        await eventually(lambda: not (a.exchange._tells_all or b.exchange._tells_all), "text is told by session")
        a.write("one ")
        a.write("a ", ("run-2", "m"))
        await eventually(lambda: b.text() == "one " and b.text(("run-2", "m")) == "a ", "it crossed")
        b.leave("s")
        assert b.text() is None
        await eventually(readers(redis_url, 0), "nobody follows it")
        a.board.end("s", KEY, 1)
        a.write("b", ("run-2", "m"))
        b.follow("s")
        await eventually(lambda: b.text(("run-2", "m")) == "a b", "the text so far, of what is still written")
        assert b.text() is None


async def test_a_writer_that_was_cut_off_tells_what_it_may_not_have_been_asked(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "UNHEARD_SECONDS", 3600.0)
    async with (
        gateway(own_redis.url, "a", follows=None) as a,
        gateway(own_redis.url, "b", follows=None) as b,
        AsyncExitStack() as stack,
    ):
        redis = stack.enter_context(Plain.from_url(own_redis.url))
        await eventually(listening(own_redis.url, 2), "both listen")
        a.write("before ")
        await eventually(lambda: redis.pubsub_channels("x:live:asks:*") == [b"x:live:asks:s"], "it hears asks")
        with monkeypatch.context() as patched:
            patched.setattr(a.exchange._telling, "asked", lambda _: None)  # as if it came too late
            b.follow("s")
            await eventually(readers(own_redis.url, 1), "it follows")
            await eventually(lambda: not b.exchange._asking, "it has asked")
        assert b.text() is None
        [writers] = [each for each in redis.client_list() if each["sub"] == "3"]
        redis.client_kill_filter(_id=writers["id"])
        await eventually(lambda: b.text() == "before ", "it is told")


async def test_a_push_that_comes_while_one_is_told_is_told_too(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who heard of the first may have looked before the second was true."""
    monkeypatch.setattr(exchange, "DEADLINE_SECONDS", 60.0)
    async with gateway(own_redis.url, "a") as a, gateway(own_redis.url, "b") as b:
        await eventually(listening(own_redis.url, 2), "both listen")
        own_redis.process.pause()
        try:
            a.exchange.pushed(["run-1"])
            await asyncio.sleep(20 * exchange.FASTEST_PACE_SECONDS)  # it is on its way
            a.exchange.pushed(["run-1"])
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
