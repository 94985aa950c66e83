"""Redis loses data, all or a part: everything unconsumed is published again, in order, without anyone's hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from tests.integration.delivery.asking import get
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, PREFIX, Outbox, metric
from tests.integration.delivery.test_delivery_rescue import SMALL, shared_by, some_consumed
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.streams import epoch as epochs

Loss = Callable[[Outbox], Awaitable[object]]

# How each loss is made; whether the session streams go with it.
LOSSES: dict[str, tuple[Loss, bool]] = {
    "FLUSHALL": (lambda outbox: outbox.redis.flushall(), True),
    "DEL of the global stream": (lambda outbox: outbox.redis.delete(GLOBAL), False),
    "XGROUP DESTROY": (lambda outbox: outbox.redis.xgroup_destroy(GLOBAL, GROUP), False),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_loss_while_thousands_wait_unconsumed_loses_no_event_and_no_order(
    own_outbox: Outbox, start_own_worker: StartWorker, loss: str
) -> None:
    lose, takes_all = LOSSES[loss]
    worker = start_own_worker(**SMALL)
    await own_outbox.write_many(40, 100)
    await some_consumed(own_outbox, 1000)
    worker.process.pause()  # entries published and not read, rows claimed ahead, confirmations unwritten
    await lose(own_outbox)
    worker.process.resume()
    await own_outbox.all_consumed(deadline_seconds=40)
    assert await own_outbox.check_session_streams(complete=not takes_all) > 0
    assert await own_outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events") == 0


@pytest.mark.parametrize("loss", LOSSES)
async def test_losses_in_full_flight_lose_no_event_and_no_order(
    own_outbox: Outbox, start_own_worker: StartWorker, loss: str
) -> None:
    lose, takes_all = LOSSES[loss]
    start_own_worker(**SMALL)
    await own_outbox.write_many(30, 200)
    for consumed in (500, 1500, 2500, 3500, 4500):
        await some_consumed(own_outbox, consumed)
        await lose(own_outbox)
    await own_outbox.all_consumed(deadline_seconds=40)
    assert await own_outbox.check_session_streams(complete=not takes_all) > 0


async def test_a_loss_that_the_probe_notices_first_breaks_no_order(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    worker = start_own_worker(**SMALL)
    await own_outbox.write_many(40, 100)
    await some_consumed(own_outbox, 500)
    async with own_outbox.pool.acquire() as connection, connection.transaction():
        # No completion gets past these rows, so the relay waits for room with events claimed ahead.
        on_their_way = (
            "SELECT FROM outbox_events WHERE status IN ('processing', 'delivered') ORDER BY id FOR UPDATE"
        )
        await eventually(lambda: connection.fetch(on_their_way), "some are on their way")

        async def is_full() -> bool:
            _, text = await get(worker, "/metrics")
            return metric(text, "uniassist_delivery_awaiting") >= 500

        await eventually(is_full, "as many unconfirmed as there may be")
        await own_outbox.redis.flushall()
        await eventually(lambda: "began a new epoch" in worker.process.log.read_text(), "the probe has noticed")
    await own_outbox.all_consumed()
    await own_outbox.check_session_streams(complete=False)
    in_flight = await own_outbox.redis.xlen(GLOBAL)
    assert in_flight == len({entry.event_id for entry in await own_outbox.stream(GLOBAL)}), "each published once"
    assert "loop failed" not in worker.process.log.read_text()


async def test_delivered_events_of_a_lost_epoch_are_published_again_within_seconds(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    worker = start_own_worker()
    await own_outbox.write_turn("s", 1)
    await own_outbox.all_consumed()
    events = await own_outbox.write_turn("late", 50)
    await own_outbox.all_consumed()
    # As if the group had not confirmed them when the data went.
    epoch = await epochs.read(own_outbox.redis, GLOBAL)
    assert epoch is not None
    await own_outbox.pool.execute(
        "UPDATE outbox_events SET status = 'delivered', epoch = $2 WHERE event_id = ANY ($1)",
        events,
        epoch.name,
    )
    await own_outbox.redis.flushall()
    lost = time.monotonic()

    async def noticed() -> bool:
        _, text = await get(worker, "/metrics")
        return metric(text, "uniassist_delivery_reconciliations_total") == 1

    await eventually(noticed, "the loss is noticed")
    assert time.monotonic() - lost < 3, "2 s, and one for a busy machine"
    await own_outbox.all_consumed()
    assert [entry.event_id for entry in await own_outbox.session_stream("late")] == events


async def test_a_deleted_global_stream_is_noticed_by_an_idle_worker(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    start_own_worker()
    await own_outbox.write_turn("s", 1)
    await own_outbox.all_consumed()
    await own_outbox.redis.delete(GLOBAL)

    async def begun_anew() -> bool:
        return bool(await own_outbox.redis.exists(GLOBAL))

    await eventually(begun_anew, "another epoch", deadline_seconds=15)
    [group] = await own_outbox.redis.xinfo_groups(GLOBAL)
    assert group["name"] == GROUP.encode()


async def test_a_destroyed_group_is_created_from_the_streams_beginning_and_counted(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    worker = start_own_worker()
    await own_outbox.write_turn("s", 5)
    await own_outbox.all_consumed()
    await own_outbox.redis.xgroup_destroy(GLOBAL, GROUP)
    await own_outbox.write_turn("s", 5)
    await own_outbox.all_consumed()
    _, text = await get(worker, "/metrics")
    assert metric(text, "uniassist_delivery_group_recoveries_total") == 1
    assert metric(text, "uniassist_delivery_reconciliations_total") == 0
    assert await own_outbox.check_session_streams() == 1


async def test_redis_killed_and_started_empty_costs_no_attempt_and_no_event(
    own_outbox: Outbox, start_own_worker: StartWorker, own_redis: EmbeddedRedis
) -> None:
    start_own_worker(**SMALL)
    await own_outbox.write_many(40, 100)
    await some_consumed(own_outbox, 500)
    await asyncio.to_thread(own_redis.process.kill)
    events = await own_outbox.write_turn("meanwhile", 3)
    await asyncio.to_thread(own_redis.start)
    await own_outbox.all_consumed(deadline_seconds=40)
    await own_outbox.check_session_streams(complete=False)
    assert [entry.event_id for entry in await own_outbox.session_stream("meanwhile")] == events
    assert await own_outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events") == 0


async def test_two_workers_agree_on_the_new_epoch(own_outbox: Outbox, start_own_worker: StartWorker) -> None:
    start_own_worker(**SMALL)
    start_own_worker(**SMALL)
    await shared_by(own_outbox, 2)
    await own_outbox.write_many(40, 150)
    for consumed in (500, 2000, 3500):
        await some_consumed(own_outbox, consumed)
        await own_outbox.redis.flushall()
    await own_outbox.all_consumed(deadline_seconds=40)
    await own_outbox.check_session_streams(complete=False)
    assert await own_outbox.redis.exists(f"uniassist-epoch:{GLOBAL}") == 1


async def test_a_session_stream_that_an_operator_deleted_goes_on_with_the_next_event(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    start_own_worker()
    await own_outbox.write_turn("s", 3)
    await own_outbox.all_consumed()
    await own_outbox.redis.delete(f"{PREFIX}s")
    [event] = await own_outbox.write_turn("s", 1)
    await own_outbox.in_state(event, "consumed")
    [entry] = await own_outbox.session_stream("s")
    assert (entry.entry_id, entry.event_id) == ("4-0", event)


async def test_shards_taken_while_another_epoch_is_settled_are_settled_too(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    """The settling waits for a locked row, and can't see any more that a shard is taken meanwhile."""
    pool = own_outbox.pool
    await pool.execute(
        "UPDATE delivery_shards SET owner = 'gone', lease_expires_at = now() + interval '1 hour' "
        "WHERE shard = hashtext('taken') & 31"
    )
    start_own_worker(**SMALL)
    (mine,) = await own_outbox.write_turn("mine", 1)
    await own_outbox.in_state(mine, "consumed")
    published = await epochs.read(own_outbox.redis, GLOBAL)
    assert published is not None
    first, second = await own_outbox.write_turn("taken", 2)
    delivered = (
        "UPDATE outbox_events SET status = 'delivered', delivered_at = now(), epoch = $2 WHERE event_id = $1"
    )
    await pool.execute(delivered, mine, published.name)
    await pool.execute(delivered, first, published.name)

    async with pool.acquire() as holding:
        transaction = holding.transaction()
        await transaction.start()
        await holding.execute("SELECT FROM outbox_events WHERE event_id = $1 FOR UPDATE", mine)
        await own_outbox.redis.flushall()
        await eventually(lambda: _is_settling(own_outbox), "the settling waits for the row")
        await pool.execute("UPDATE delivery_shards SET lease_expires_at = now() WHERE owner = 'gone'")
        await eventually(
            lambda: _heartbeat_after_taking(own_outbox, "taken"), "the shard is taken, and its rescue over"
        )
        await transaction.rollback()

    await own_outbox.in_state(second, "consumed")
    await own_outbox.in_state(first, "consumed")
    entries = await own_outbox.session_stream("taken")
    assert [(entry.entry_id, entry.event_id) for entry in entries] == [("1-0", first), ("2-0", second)]


async def _is_settling(outbox: Outbox) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '-- One slice:%'"
    return bool(await outbox.pool.fetchval(waiting))


async def _heartbeat_after_taking(outbox: Outbox, session_id: str) -> bool:
    """A heartbeat renews only what an earlier one has taken, and begins after that one's rescue."""
    renewed = "SELECT lease_expires_at FROM delivery_shards WHERE shard = hashtext($1) & 31 AND owner <> 'gone'"
    found = await outbox.pool.fetchval(renewed, session_id)
    if found is None:
        return False

    async def again() -> bool:
        return bool(await outbox.pool.fetchval(renewed, session_id) > found)

    return bool(await eventually(again, "the next heartbeat renews the lease"))
