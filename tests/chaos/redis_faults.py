"""What happens to Redis: its data lost in all ways, away, slow, full, and its role taken by a replica."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import shutil
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos.faults import Fault, for_a_while
from tests.chaos.load import SESSIONS
from tests.chaos.postgres_faults import standing_still
from tests.chaos.system import System, new_redis, redis_client
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP
from tests.waiting import eventually
from uniassist.delivery.engine import PROBE_SECONDS
from uniassist.devstack.redis import EmbeddedRedis

# Nobody reads or writes any more until the kill, so that what is unread now is what is lost unread.
FREEZE = ("CLIENT", "PAUSE", "60000", "ALL")
BACKLOG_SESSIONS, BACKLOG_EVENTS, BACKLOG_SECONDS = 40, 150, 3
BURST_SESSIONS, BURST_EVENTS = 20, 10
GOING_OUT_SECONDS = 5.0
# How long a demoted server goes on, refusing writes, with the connections that it has.
DEMOTED_SECONDS = (4.0, 8.0)


async def redis_stalled(system: System, chance: random.Random) -> None:
    system.redis.process.pause()
    await for_a_while(chance, 0.5, 7)
    system.redis.process.resume()


async def redis_stuttering(system: System, chance: random.Random) -> None:
    """As on a machine that is short of CPU or memory: it answers, in bursts."""
    for _ in range(chance.randint(5, 20)):
        system.redis.process.pause()
        await for_a_while(chance, 0.05, 0.4)
        system.redis.process.resume()
        await for_a_while(chance, 0.01, 0.1)


async def redis_full(system: System, chance: random.Random) -> None:
    """At maxmemory, and nothing may be evicted: each write is refused."""
    redis = system.outbox.redis
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("maxmemory", "1mb")
    try:
        await for_a_while(chance, 0.5, 5)
    finally:
        await redis.config_set("maxmemory", "0")


async def group_destroyed(system: System, _: random.Random) -> None:
    await system.checks.losing_group("XGROUP", "DESTROY", GLOBAL, GROUP)


async def global_stream_deleted(system: System, _: random.Random) -> None:
    await system.checks.losing_epoch("DEL", GLOBAL)
    await system.checks.leave_out_consumed()


async def flushed(system: System, _: random.Random) -> None:
    await system.checks.before_loss(system.lost_at, "FLUSHALL")
    system.lost_at = dt.datetime.now(dt.UTC)


async def flushed_with_much_unread(system: System, chance: random.Random) -> None:
    """The consumers are refused for a while, so that the loss takes what nobody was given."""
    await _allow_reading(system, "-xreadgroup")
    try:
        await for_a_while(chance, 0.3, 1.5)
        await flushed(system, chance)
    finally:
        await _allow_reading(system, "+xreadgroup")


async def flushed_before_confirmations_arrive(system: System, chance: random.Random) -> None:
    """What a worker confirms before the loss reaches Postgres after it, while what is published again is unread.

    It is cut off amid a burst, so that much is on its way at once.
    """
    link, _ = chance.choice(system.links)
    sessions = chance.sample(range(SESSIONS), BURST_SESSIONS)
    burst = asyncio.gather(*(system.outbox.write_turn(f"s{session}", BURST_EVENTS) for session in sessions))
    try:
        await _grown(system.outbox.redis, chance.randint(10, 100))
        link.stall()
        await burst
        await for_a_while(chance, 0.3, 1.0)
        await _allow_reading(system, "-xreadgroup")
        await flushed(system, chance)
        await _grown(system.outbox.redis, chance.randint(50, 150))
        link.resume()
        await for_a_while(chance, 0.2, 1.0)
        await system.checks.look_at_confirmations()
    finally:
        link.resume()
        await _allow_reading(system, "+xreadgroup")


async def flushed_amid_a_backlog(system: System, chance: random.Random) -> None:
    """While the workers claim one full batch after the other, Postgres stands still, and Redis loses its data.

    So the loss is noticed between a claim and its answer; and nobody was given what was published until then.
    """
    await system.checks.look(system.lost_at)
    redis, sessions = system.outbox.redis, chance.sample(range(SESSIONS), BACKLOG_SESSIONS)
    await redis.client_pause(BACKLOG_SECONDS * 1000, all=False)
    try:
        await asyncio.gather(*(system.outbox.write_turn(f"s{session}", BACKLOG_EVENTS) for session in sessions))
    finally:
        await _allow_reading(system, "-xreadgroup")
        await redis.client_unpause()
    try:
        await _grown(redis, chance.randint(1, BACKLOG_SESSIONS * BACKLOG_EVENTS // 3))
        with standing_still(system.postgres):
            await for_a_while(chance, 0.02, 0.1)  # what is being appended is on the streams; claims wait
            await system.checks.losing_epoch("FLUSHALL")
            system.lost_at = dt.datetime.now(dt.UTC)
            await asyncio.sleep(PROBE_SECONDS * 1.3)
    finally:
        await _allow_reading(system, "+xreadgroup")
    await system.checks.leave_out_consumed()


async def _grown(redis: Redis, entries: int) -> None:
    """So many have gone out, however fast the machine is; or it takes too long, for another fault's reasons."""
    before, end = await redis.xlen(GLOBAL), time.monotonic() + GOING_OUT_SECONDS
    while await redis.xlen(GLOBAL) < before + entries and time.monotonic() < end:
        await asyncio.sleep(0.002)


async def redis_killed_with_much_unread(system: System, chance: random.Random) -> None:
    await _allow_reading(system, "-xreadgroup")
    await for_a_while(chance, 0.3, 1.5)
    await redis_killed_with_its_data(system, chance)  # and starts with the usual rights


async def _allow_reading(system: System, right: str) -> None:
    # The client's own acl_setuser would switch the user off.
    await system.outbox.redis.execute_command("ACL SETUSER", "default", right)  # type: ignore[no-untyped-call]


async def redis_killed_with_its_data(system: System, chance: random.Random) -> None:
    await system.checks.before_loss(system.lost_at, *FREEZE)
    system.redis.process.kill()
    (system.redis.directory / "dump.rdb").unlink(missing_ok=True)
    await for_a_while(chance, 0, 3)
    await asyncio.to_thread(system.redis.start)
    system.lost_at = dt.datetime.now(dt.UTC)


async def redis_killed_and_back_with_an_old_copy(system: System, chance: random.Random) -> None:
    """As a failover to a replica that lagged: the sentinel is there, the last seconds are not."""
    await system.outbox.redis.save()
    await _allow_reading(system, chance.choice(("-xreadgroup", "+xreadgroup")))  # what is lost: unread, or not
    await for_a_while(chance, 0, 2)
    await system.checks.before_loss(system.lost_at, *FREEZE)
    system.redis.process.kill()
    await for_a_while(chance, 0, 2)
    await asyncio.to_thread(system.redis.start)
    system.lost_at = dt.datetime.now(dt.UTC)


async def redis_failed_over(system: System, _: random.Random) -> None:
    """The primary's replica is promoted, the primary freezes and dies, the name moves."""
    replica = await _replica(system)
    old = system.redis
    try:
        await _promote(replica)
        await system.checks.before_loss(system.lost_at, *FREEZE)
    except BaseException:
        replica.process.kill()  # nobody has met it
        raise
    old.process.kill()
    await system.move_to_redis(replica)
    system.lost_at = dt.datetime.now(dt.UTC)
    await asyncio.to_thread(shutil.rmtree, old.directory, ignore_errors=True)


async def redis_demoted(system: System, chance: random.Random) -> None:
    """The old primary lives on as a replica of the new one, and refuses writes on the connections that it has.

    What it took between the promotion and its own demotion is lost.
    """
    replica = await _replica(system)
    old = system.redis
    try:
        await _promote(replica)
        await for_a_while(chance, 0, 0.3)
        await system.checks.before_loss(system.lost_at, "REPLICAOF", "127.0.0.1", str(replica.port))
    except BaseException:
        replica.process.kill()  # nobody has met it
        raise
    await system.move_to_redis(replica)
    system.lost_at = dt.datetime.now(dt.UTC)
    await system.go_on_demoted("Redis", chance.uniform(*DEMOTED_SECONDS))
    old.process.kill()
    await asyncio.to_thread(shutil.rmtree, old.directory, ignore_errors=True)


async def _replica(system: System) -> EmbeddedRedis:
    """One that has the primary's data and follows it."""
    await system.outbox.redis.config_set("repl-diskless-sync-delay", "0")
    replica = new_redis(system.next_directory("redis"))
    system.at_end(replica.process.kill)
    await asyncio.to_thread(replica.start)
    try:
        async with redis_client(replica.url) as client:
            await client.replicaof("127.0.0.1", system.redis.port)

            async def follows() -> bool:
                return bool((await client.info("replication"))["master_link_status"] == "up")

            await eventually(follows, "the replica follows its primary", deadline_seconds=15)
    except (AssertionError, RedisError) as error:
        replica.process.kill()
        raise ConnectionError("no replica came to be") from error
    return replica


async def _promote(replica: EmbeddedRedis) -> None:
    async with redis_client(replica.url) as client:
        await client.replicaof("NO", "ONE")


REDIS_FAULTS: tuple[Fault, ...] = (
    redis_stalled,
    redis_stuttering,
    redis_full,
    group_destroyed,
    global_stream_deleted,
    flushed,
    flushed_with_much_unread,
    flushed_before_confirmations_arrive,
    flushed_amid_a_backlog,
    redis_killed_with_its_data,
    redis_killed_with_much_unread,
    redis_killed_and_back_with_an_old_copy,
    redis_failed_over,
    redis_demoted,
)
