"""The hub by itself: who is woken, by what, and what that costs Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import psycopg
import pytest
import structlog
from tests.ports import free_port
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.gateway import event_streams
from uniassist.store import timeline
from uniassist.store.server.pool import Connection, Pool, create_pool
from uniassist.streams import channels
from uniassist.streams.client import Redis, connect

POOL_SIZE = 20  # the gateway's


def _write_event(url: str, seq: int, session_id: str = "s") -> None:
    """As the group commit does: the event and its session's seq are one commit."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO sessions (session_id, user_id, seq) VALUES (%s, 'u', %s)"
            " ON CONFLICT (session_id) DO UPDATE SET seq = EXCLUDED.seq",
            (session_id, seq),
        )
        connection.execute(
            "INSERT INTO timeline_events"
            " (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)"
            " VALUES (%s, 't', %s, 'u', %s, 0, 'error', '{}')",
            (f"{session_id}-{seq}", session_id, seq),
        )


class _Reads:
    """Counts what the hub asks of Postgres, and asks it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages = self.looks = 0
        self._read, self._moved = timeline.read, timeline.moved
        monkeypatch.setattr(timeline, "read", self._counted_read)
        monkeypatch.setattr(timeline, "moved", self._counted_look)

    async def _counted_read(self, *args: Any, **named: Any) -> timeline.Page:
        page = await self._read(*args, **named)
        self.pages += 1
        return page

    async def _counted_look(self, *args: Any) -> list[timeline.Moved]:
        moved = await self._moved(*args)
        self.looks += 1
        return moved


class _Follower:
    """A stream that is read as it comes."""

    def __init__(self, frames: AsyncGenerator[bytes]) -> None:
        self.got: list[bytes] = []
        self._frames = frames
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self._frames:
            self.got.append(frame)

    async def until(self, seq: int) -> None:
        """The event was in what came last, or before."""
        await eventually(lambda: any(b"id: %d\n" % seq in each for each in self.got), f"{seq} came")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._frames.aclose()


@asynccontextmanager
async def _following(hub: event_streams.Hub, sessions: list[str]) -> AsyncIterator[list[_Follower]]:
    async with AsyncExitStack() as stack:
        followers = []
        for session_id in sessions:
            followers.append(_Follower(cast("AsyncGenerator[bytes]", hub.follow(session_id, 0))))
            stack.push_async_callback(followers[-1].close)
        yield followers


@asynccontextmanager
async def _hub(pool: Pool, redis_url: str) -> AsyncIterator[event_streams.Hub]:
    redis = connect(redis_url)
    hub = event_streams.Hub(pool, redis, prefix="")
    hub.start()
    try:
        yield hub
    finally:
        await hub.stop()
        await redis.aclose()


async def test_quiet_streams_are_looked_at_together(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is away: each stream is read once when it opens, and then only when its own session moves."""
    monkeypatch.setattr(event_streams, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 3.0)  # what a busy machine needs to read them all
    monkeypatch.setattr(event_streams, "LOOK_SESSIONS", 100)
    reads, sessions = _Reads(monkeypatch), [f"quiet-{n}" for n in range(250)]
    async with (
        await create_pool(database_url, application_name="test", max_size=POOL_SIZE) as pool,
        _hub(pool, f"redis://127.0.0.1:{free_port()}/0") as hub,
        _following(hub, sessions) as followers,
    ):
        await eventually(lambda: all(b": heartbeat\n\n" in each.got for each in followers), "they beat")
        looks, pages = reads.looks, reads.pages
        assert pages >= len(sessions), "each was read as it opened"
        await eventually(
            lambda: reads.looks >= looks + 3 * 5, "the hub looked five times, in three statements each"
        )
        assert reads.pages == pages
        for session_id in (sessions[0], sessions[-1]):
            _write_event(database_url, 1, session_id)
        for moved in (followers[0], followers[-1]):
            await moved.until(1)
        assert reads.pages == pages + 2


async def _heard(redis: Redis) -> set[str]:
    heard = cast("list[bytes]", await redis.pubsub_channels("moved:*"))
    return {channel.decode().removeprefix("moved:") for channel in heard}


async def test_who_follows_again_before_the_channel_is_left_asks_for_the_text_again(
    database_url: str, redis_url: str
) -> None:
    """What others write was forgotten with the last reader, and nothing will say that the channel is heard anew."""
    asked: list[str] = []
    redis = connect(redis_url)
    async with await create_pool(database_url, application_name="test") as pool, _hub(pool, redis_url) as hub:
        hub.on_followed = asked.append
        async with _following(hub, ["s"]):
            await eventually(lambda: asked == ["s"], "its channel is heard")
        async with _following(hub, ["s"]):
            await eventually(lambda: asked == ["s", "s"], "again")
            assert await _heard(redis) == {"s"}
    await redis.aclose()


async def test_what_is_said_while_a_connection_is_made_anew_is_not_missed(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 3600.0)
    async with (
        connect(redis_url) as redis,
        await create_pool(database_url, application_name="test", max_size=POOL_SIZE) as pool,
        _hub(pool, redis_url) as hub,
        _following(hub, ["s"]) as [owner],
    ):
        for seq in (1, 2, 3):
            await eventually(lambda: _hears(redis, {"s"}), "it hears")
            await redis.client_kill_filter(_type="pubsub")
            _write_event(database_url, seq)
            await owner.until(seq)


async def _hears(redis: Redis, sessions: set[str]) -> bool:
    return await _heard(redis) == sessions


async def test_nothing_is_heard_but_what_someone_follows(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More sessions than are asked for in one command, that come and go."""
    monkeypatch.setattr(channels, "ASKED_AT_ONCE", 7)
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 3600.0)
    monkeypatch.setattr(event_streams, "POLL_SECONDS", 3600.0)
    sessions = ["ü:*", *(f"s-{n}" for n in range(29))]
    async with (
        connect(redis_url) as redis,
        await create_pool(database_url, application_name="test", max_size=POOL_SIZE) as pool,
        _hub(pool, redis_url) as hub,
        _following(hub, sessions[15:]) as followers,
    ):
        async with _following(hub, [*sessions[:15], *sessions[10:20]]):
            await eventually(lambda: _hears(redis, set(sessions)), "all are heard")
        await eventually(lambda: _hears(redis, set(sessions[15:])), "the others aren't")
        for session_id, follower in zip(sessions[15:], followers, strict=True):
            _write_event(database_url, 1, session_id)
            assert await redis.publish(f"moved:{session_id}", 1) == 1
            await follower.until(1)


async def test_a_session_of_someone_else_is_not_read_again_however_it_moves(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "POLL_SECONDS", 0.05)
    reads = _Reads(monkeypatch)
    async with (
        await create_pool(database_url, application_name="test", max_size=POOL_SIZE) as pool,
        _hub(pool, f"redis://127.0.0.1:{free_port()}/0") as hub,
        _following(hub, ["s"]) as [owner],
    ):
        stranger = _Follower(cast("AsyncGenerator[bytes]", hub.follow("s", 0, subject="someone else")))
        await eventually(lambda: reads.pages == 2, "each was read once")
        _write_event(database_url, 1)
        await owner.until(1)
        looks = reads.looks
        await eventually(lambda: reads.looks >= looks + 3, "the hub looked three times more")
        await stranger.close()
        assert reads.pages == 3
        assert not any(frame.startswith(b"id:") for frame in stranger.got)


async def test_a_commit_that_nobody_told_of_is_found_also_while_redis_works(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hints may be lost, and so may the worker be: now and then the hub looks anyway."""
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 1.0)
    reads = _Reads(monkeypatch)
    async with (
        await create_pool(database_url, application_name="test") as pool,
        _hub(pool, redis_url) as hub,
        _following(hub, ["s"]) as [follower],
    ):
        await eventually(lambda: reads.pages == 1, "it was read")
        for seq in (1, 2):
            _write_event(database_url, seq)
            await follower.until(seq)


@asynccontextmanager
async def _locked_timeline(pool: Pool) -> AsyncIterator[Connection]:
    """Every read hangs until the connection, an operator's, ends its transaction."""
    async with pool.acquire() as operator, operator.transaction():
        await operator.execute("LOCK TABLE timeline_events IN ACCESS EXCLUSIVE MODE")
        yield operator


async def test_streams_that_wait_for_postgres_leave_connections_to_others(database_url: str) -> None:
    """Whatever their reads hang at: the group commit, the leases and the health check get theirs."""
    async with (
        await create_pool(database_url, application_name="test", max_size=POOL_SIZE) as pool,
        _hub(pool, f"redis://127.0.0.1:{free_port()}/0") as hub,
        _locked_timeline(pool) as operator,
        _following(hub, [f"s-{n}" for n in range(50)]),
        AsyncExitStack() as others,
    ):

        async def hanging() -> bool:
            count: int = await operator.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return count >= event_streams.READS

        await eventually(hanging, "as many reads as may hang")
        for _ in range(POOL_SIZE - event_streams.READS - 4):  # the operator's, the look's, and some to spare
            await others.enter_async_context(pool.acquire(timeout=8.0))


async def test_a_stream_that_waits_for_its_turn_still_beats(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "READS", 1)
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.3)
    async with (
        await create_pool(database_url, application_name="test", max_size=POOL_SIZE) as pool,
        _hub(pool, f"redis://127.0.0.1:{free_port()}/0") as hub,
        AsyncExitStack() as stack,
    ):
        async with _locked_timeline(pool):
            followers = _following(hub, ["first", "second"])
            _, second = await stack.enter_async_context(followers)
            await eventually(lambda: second.got.count(b": heartbeat\n\n") >= 2, "it beats", deadline_seconds=20)
        _write_event(database_url, 1, "second")
        await second.until(1)


async def test_a_follower_is_woken_only_for_what_it_has_not_got(database_url: str, redis_url: str) -> None:
    """Of a commit the hub hears up to three times, and it reads Postgres once."""
    _write_event(database_url, 1)
    redis = connect(redis_url)
    async with await create_pool(database_url, application_name="test") as pool:
        hub = event_streams.Hub(pool, redis, prefix="")
        frames = cast("AsyncGenerator[bytes]", hub.follow("s", 0))
        assert await anext(frames) == b": connected\n\n"
        assert (await anext(frames)).startswith(b"id: 1\n")
        coming = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        [[follower]] = hub._followers.values()
        await eventually(lambda: not follower.has_news, "it waits")
        hub.wake({"s": 1, "other": 9})
        assert not follower.has_news
        _write_event(database_url, 2)
        hub.wake({"s": 2})
        assert (await asyncio.wait_for(coming, 10)).startswith(b"id: 2\n")
        await frames.aclose()
    await redis.aclose()


async def test_a_quiet_stream_beats_also_while_redis_is_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polling each second must not put the beat off for ever."""
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.3)
    monkeypatch.setattr(event_streams, "POLL_SECONDS", 0.05)
    redis = connect(f"redis://127.0.0.1:{free_port()}/0")
    async with await create_pool(database_url, application_name="test") as pool:
        hub = event_streams.Hub(pool, redis, prefix="")
        hub.start()
        frames = cast("AsyncGenerator[bytes]", hub.follow("quiet", 0))
        got = [await asyncio.wait_for(anext(frames), 10) for _ in range(3)]
        await frames.aclose()
        await hub.stop()
    await redis.aclose()
    assert got == [b": connected\n\n", b": heartbeat\n\n", b": heartbeat\n\n"]


async def test_a_wake_up_that_postgres_missed_is_not_forgotten(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    """The read that failed is made again well before the next heartbeat."""
    redis = connect(own_redis.url)
    async with await create_pool(own_postgres.url, application_name="test") as pool:
        hub = event_streams.Hub(pool, redis, prefix="")
        hub.start()
        frames = cast("AsyncGenerator[bytes]", hub.follow("s", 0))
        assert await anext(frames) == b": connected\n\n"
        await eventually(lambda: _hears(redis, {"s"}), "it hears")
        for seq in (1, 2):
            _write_event(own_postgres.url, seq)
            await redis.publish("moved:s", seq)
            assert (await asyncio.wait_for(anext(frames), 10)).startswith(b"id: %d\n" % seq)
        coming = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        with structlog.testing.capture_logs() as logs:
            own_postgres.stop()
            hub.wake({"s": None})
            await eventually(lambda: logs, "the read failed")
        own_postgres.start()
        _write_event(own_postgres.url, 3)
        assert (await asyncio.wait_for(coming, event_streams.HEARTBEAT_SECONDS / 2)).startswith(b"id: 3\n")
        await frames.aclose()
        await hub.stop()
    await redis.aclose()


async def test_without_followers_nothing_is_read_and_the_first_one_misses_nothing(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 3600.0)

    async with (
        connect(redis_url) as redis,
        await create_pool(database_url, application_name="test") as pool,
        _hub(pool, redis_url) as hub,
    ):
        for seq in (1, 2):  # the second time after it had stopped listening
            _write_event(database_url, seq)
            async with _following(hub, ["s"]) as [reader]:
                await reader.until(seq)
                await eventually(lambda: _hears(redis, {"s"}), "it listens")
            await eventually(lambda: _hears(redis, set()), "it listens no more")


async def test_readers_of_a_session_share_reads_and_none_is_given_an_old_one(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake-up while a read is under way is for what that one may not have seen."""
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 3600.0)
    reads, count = _Reads(monkeypatch), 40
    async with (
        await create_pool(database_url, application_name="test") as pool,
        _hub(pool, redis_url) as hub,
        _following(hub, ["s"] * count) as readers,
    ):
        await eventually(lambda: all(reader.got for reader in readers), "connected")
        before = reads.pages
        for seq in range(1, 6):
            _write_event(database_url, seq)
            hub.wake({"s": seq})
            await asyncio.sleep(0)  # reads of the one before are under way
        for reader in readers:
            await reader.until(5)
            assert b"".join(reader.got).count(b"id: ") == 5
        assert reads.pages - before < 5 * count / 4
