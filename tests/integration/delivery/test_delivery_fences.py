"""A lost epoch is over: nothing from before its loss changes a row, and nothing that was seen comes undone.

Each test is an order of steps that was seen to break a session's order, or to swallow an event.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest
from tests.chaos.proxy import Proxy, proxied
from tests.integration.delivery.by_hand import Hand, worker_by_hand
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, PREFIX, Outbox
from tests.integration.delivery.test_delivery_rescue import owners, shared_by
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store import delivery as store
from uniassist.store.delivery import Failure
from uniassist.streams import epoch as epochs


@pytest.fixture
async def forgetful(own_postgres: EmbeddedPostgres, own_outbox: Outbox) -> EmbeddedPostgres:
    """A Postgres that writes asynchronous commits down so late that a kill surely loses them."""
    for setting in ("wal_writer_delay = '10s'", "autovacuum = off"):
        await own_outbox.pool.execute(f"ALTER SYSTEM SET {setting}")
    await asyncio.to_thread(own_postgres.stop)
    await asyncio.to_thread(own_postgres.start)
    return own_postgres


async def crash(postgres: EmbeddedPostgres) -> None:
    await asyncio.to_thread(postgres.process.kill)
    await asyncio.to_thread(postgres.start)


async def session_ids(outbox: Outbox) -> list[tuple[str, str]]:
    """Id and event of the entries of session `s`."""
    return [(entry.entry_id, entry.event_id) for entry in await outbox.session_stream("s")]


async def test_an_answer_on_its_way_while_the_data_is_lost_twice_confirms_nothing_any_more(
    own_outbox: Outbox, start_own_worker: StartWorker, own_redis: EmbeddedRedis
) -> None:
    """Given in the first epoch; it arrives when the event was published in the second, which is lost as well."""
    async with proxied(own_redis.port) as relaying, proxied(own_redis.port) as reading:
        # The first worker publishes and never gets to read, so that only the other is given entries.
        relaying.tap = lambda _number, direction, chunk: direction == "request" and b"XREADGROUP" in chunk
        first = start_own_worker(**_through(relaying, own_redis))
        [publisher] = await shared_by(own_outbox, 1)
        start_own_worker(**_through(reading, own_redis))
        await shared_by(own_outbox, 2)
        session = await _session_of(own_outbox, publisher)
        [warm] = await own_outbox.write_turn(session, 1)
        await own_outbox.in_state(warm, "consumed")
        await eventually(lambda: _is_reading(own_outbox), "the second worker waits in XREADGROUP")

        reading.stall()
        [event] = await own_outbox.write_turn(session, 1)
        await eventually(lambda: _is_given(own_outbox), "the answer is on its way")
        await own_outbox.redis.flushall()
        await eventually(lambda: _has_length(own_outbox, f"{PREFIX}{session}", 1), "published again")
        first.process.pause()
        await own_outbox.redis.flushall()
        resumed_at = dt.datetime.now(dt.UTC)
        reading.resume()
        await eventually(lambda: _has_confirmed(own_outbox, resumed_at), "the answer is worked off")
        first.process.resume()
        [later] = await own_outbox.write_turn(session, 1)
        await own_outbox.all_consumed()
        entries = [(entry.entry_id, entry.event_id) for entry in await own_outbox.session_stream(session)]
    assert entries == [("2-0", event), ("3-0", later)]


@pytest.mark.parametrize("lost_before", [False, True], ids=["one loss", "two losses"])
async def test_an_answer_from_before_the_loss_that_comes_before_the_event_is_published_again(
    own_outbox: Outbox, own_postgres: EmbeddedPostgres, lost_before: bool
) -> None:
    [event] = await own_outbox.write_turn("s", 1)
    async with worker_by_hand(own_postgres.url, own_outbox) as hand:
        await hand.take()
        await hand.publish(await hand.settle())
        late = await hand.read()
        for _ in range(1 + lost_before):
            await own_outbox.redis.flushall()
            epoch = await hand.settle()
        assert await hand.confirm(late) == 0, "pending: given back by the settling"
        assert await hand.publish(epoch) == ["published"]
        assert await hand.confirm(late) == 0, "on its way, in another epoch"
        assert await hand.confirm(await hand.read()) == 1
    assert await session_ids(own_outbox) == [("1-0", event)]


@pytest.mark.parametrize("events", [2, 3], ids=["alone", "behind another"])
async def test_a_late_confirmation_and_a_crash_of_postgres_swallow_nothing_and_break_no_order(
    own_outbox: Outbox, forgetful: EmbeddedPostgres, events: int
) -> None:
    """Given to a consumer in the first epoch, confirmed after the second was settled; the commit is lost then."""
    turn = await own_outbox.write_turn("s", events)
    async with worker_by_hand(forgetful.url, own_outbox) as hand:
        await hand.take()
        await hand.publish(await hand.settle(), limit=events - 1)
        late = (await hand.read())[-1:]
        await own_outbox.redis.flushall()
        second = await hand.settle()
        await hand.confirm(late)
        await hand.publish(second)
        await crash(forgetful)
    async with worker_by_hand(forgetful.url, own_outbox, "again") as heir:
        await let_leases_expire(own_outbox)
        await heir.take(second)
        await heir.publish(await heir.settle())
        await heir.confirm(await heir.read())
    assert await session_ids(own_outbox) == [(f"{seq}-0", event) for seq, event in enumerate(turn, 1)]
    await own_outbox.all_consumed()


async def settling(hand: Hand) -> None:
    await hand.settle()


async def taking(hand: Hand) -> None:
    """A worker that is gone has left them; the heir knows no epoch yet."""
    await hand.take()


@pytest.mark.parametrize("look", [settling, taking])
async def test_what_was_seen_as_consumed_stays_so_though_no_row_had_to_be_changed(
    own_outbox: Outbox, forgetful: EmbeddedPostgres, look: Callable[[Hand], Awaitable[None]]
) -> None:
    """Confirmed by an asynchronous commit; whoever looks finds nothing to return, and publishes what follows."""
    first, second, third = await own_outbox.write_turn("s", 3)
    async with worker_by_hand(forgetful.url, own_outbox) as hand:
        await hand.take()
        await hand.publish(await hand.settle(), limit=2)
        given = await hand.read()
        if look is taking:
            await let_leases_expire(own_outbox)
        await hand.confirm(given)
        if look is taking:
            hand.worker = "heir"
        await look(hand)
        await crash(forgetful)
    assert (await own_outbox.row(first))["status"] == "consumed"
    assert (await own_outbox.row(second))["status"] == "consumed"
    assert (await own_outbox.row(third))["status"] == "pending"


async def test_a_dead_letter_survives_a_crash_for_its_session_went_on(
    own_outbox: Outbox, forgetful: EmbeddedPostgres
) -> None:
    await own_outbox.write_bare("dead", "s", max_attempts=1)
    async with worker_by_hand(forgetful.url, own_outbox) as hand:
        await hand.take()
        epoch = await hand.settle()
        [row] = await store.claim(hand.pool, "w", hand.held, epoch=epoch.name, limit=1)
        await store.fail(hand.pool, "w", [Failure(row.id, "broken", 0)])
        await crash(forgetful)
    assert (await own_outbox.row("dead"))["status"] == "dead_letter"


async def test_the_order_stays_when_redis_comes_back_with_an_old_copy_and_postgres_crashes(
    own_outbox: Outbox, forgetful: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    turn = await own_outbox.write_turn("s", 3)
    async with worker_by_hand(forgetful.url, own_outbox) as hand:
        await hand.take()
        first = await hand.settle()
        await hand.publish(first, limit=1)
        await hand.confirm(await hand.read())
        await own_outbox.redis.save()
        await hand.publish(first, limit=1)
        await hand.confirm(await hand.read())
        await asyncio.to_thread(own_redis.process.kill)
        await asyncio.to_thread(own_redis.start)
        second = await hand.settle()
        assert second.name != first.name
        await hand.publish(second)
        await crash(forgetful)
    async with worker_by_hand(forgetful.url, own_outbox, "again") as heir:
        await let_leases_expire(own_outbox)
        await heir.take(second)
        await heir.publish(await heir.settle())
        await heir.confirm(await heir.read())
    await own_outbox.all_consumed()
    # The second was consumed before the copy came back; readers have it from Postgres.
    assert await session_ids(own_outbox) == [("1-0", turn[0]), ("3-0", turn[2])]


async def test_a_rescue_that_comes_late_takes_nothing_from_the_new_owner(
    own_outbox: Outbox, own_postgres: EmbeddedPostgres
) -> None:
    [event] = await own_outbox.write_turn("s", 1)
    async with worker_by_hand(own_postgres.url, own_outbox) as hand:
        await hand.take()
        await hand.settle()
        await let_leases_expire(own_outbox)
        async with worker_by_hand(own_postgres.url, own_outbox, "heir") as heir:
            await heir.take()
            await heir.publish(await heir.settle())
        found = await hand.rescue(epoch=None)
    assert (found.of_workers_gone, (await own_outbox.row(event))["locked_by"]) == (0, "heir")


async def test_a_worker_that_missed_an_epoch_puts_no_row_back_into_the_one_before(
    own_outbox: Outbox, own_postgres: EmbeddedPostgres
) -> None:
    """The shard was another's for a while, which settled it in a newer epoch. Found by tests/model."""
    [event] = await own_outbox.write_turn("s", 1)
    async with (
        worker_by_hand(own_postgres.url, own_outbox) as hand,
        worker_by_hand(own_postgres.url, own_outbox, "other") as other,
    ):
        await hand.take()
        first = await hand.settle()
        await hand.publish(first)
        late = await hand.read()
        await let_leases_expire(own_outbox)
        await other.take()
        await own_outbox.redis.flushall()
        await other.settle()
        await let_leases_expire(own_outbox)
        await hand.take(first)
        assert await hand.publish(first) == []
        assert await hand.confirm(late) == 0
        assert await hand.publish(await hand.settle()) == ["published"]
    assert await session_ids(own_outbox) == [("1-0", event)]


async def test_a_worker_whose_shards_are_settled_in_a_newer_epoch_settles_them_in_one_after_it(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    start_own_worker()
    await own_outbox.write_turn("s", 1)
    await own_outbox.all_consumed()
    newer = "00000500.abcdef01"
    await own_outbox.pool.execute("UPDATE delivery_shards SET epoch = $1", newer)
    [event] = await own_outbox.write_turn("s", 1)
    await own_outbox.all_consumed()
    assert (await own_outbox.row(event))["epoch"].startswith("00000501.")
    assert await own_outbox.check_session_streams() == 1


async def test_a_deleted_global_stream_ends_the_epoch_before_anything_is_read_again(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    start_own_worker()
    await own_outbox.write_turn("s", 1)
    await own_outbox.all_consumed()
    for round_number in range(4):
        await eventually(lambda: _is_reading(own_outbox), "the worker waits in XREADGROUP")
        events = await own_outbox.write_turn(f"s{round_number}", 5)
        await own_outbox.all_consumed()
        before = await epochs.read(own_outbox.redis, GLOBAL)
        assert before is not None
        # As if the group had not confirmed them when their entries went.
        await own_outbox.pool.execute(
            "UPDATE outbox_events SET status = 'delivered', delivered_at = now(), epoch = $2 "
            "WHERE event_id = ANY ($1)",
            events,
            before.name,
        )
        await own_outbox.redis.delete(GLOBAL)
        [later] = await own_outbox.write_turn(f"s{round_number}", 1)
        await own_outbox.all_consumed(deadline_seconds=15)
        after = await epochs.read(own_outbox.redis, GLOBAL)
        assert after is not None
        assert after.name != before.name
        order = [e.event_id for e in await own_outbox.stream(GLOBAL) if e.event_id in {*events, later}]
        assert order == [*events, later]


async def let_leases_expire(outbox: Outbox) -> None:
    """What time would do in some seconds."""
    await outbox.pool.execute("UPDATE delivery_shards SET lease_expires_at = now()")
    await outbox.pool.execute("UPDATE delivery_workers SET expires_at = now()")


def _through(link: Proxy, redis: EmbeddedRedis) -> dict[str, str]:
    url = redis.url.replace(str(redis.port), str(link.port))
    return {"REDIS_URL": url, "STREAM_CONSUMER_BLOCK_MS": "60000", "UNIASSIST_STREAM_CONSUMER": f"at-{link.port}"}


async def _session_of(outbox: Outbox, worker: str) -> str:
    """One whose shard is this worker's."""
    assert worker in await owners(outbox)
    found: str = await outbox.pool.fetchval(
        "SELECT 'x' || n FROM generate_series(1, 500) n WHERE (hashtext('x' || n) & 31) IN "
        "(SELECT shard FROM delivery_shards WHERE owner = $1) LIMIT 1",
        worker,
    )
    return found


async def _is_reading(outbox: Outbox) -> bool:
    clients = await outbox.redis.client_list()
    return any(client["cmd"] == "xreadgroup" and "b" in client["flags"] for client in clients)


async def _is_given(outbox: Outbox) -> bool:
    return bool((await outbox.redis.xpending(GLOBAL, GROUP))["pending"] == 1)


async def _has_confirmed(outbox: Outbox, since: dt.datetime) -> bool:
    """Whether a confirmation that was sent after `since` is done, whatever it found."""
    done = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query_start > $1 "
        "AND query LIKE '%SET status = ''consumed''%' AND application_name = 'uniassist-worker'"
    )
    return bool(await outbox.pool.fetchval(done, since))


async def _has_length(outbox: Outbox, key: str, length: int) -> bool:
    return bool(await outbox.redis.xlen(key) == length)
